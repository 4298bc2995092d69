"""Recognition over HTTP: a partner's points and badges, and those that partners share with each other."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from chassis.answers import Page, answers
from chassis.http import App, Body, Paged, Reader, Writer, listed, page, perform, reads
from services.incentives.access import READ_RECOGNITION
from services.incentives.api.earnings import own
from services.incentives.api.narrowing import Filter, Sort, sorted_by
from services.incentives.domain.recognition import ShareRecognition, recognition_id
from services.incentives.projections.recognition import RecognitionDocument, SharedYear

Id = Annotated[str, Path(min_length=1, max_length=64)]
Year = Annotated[int, Path(ge=2000, le=9999)]

router = APIRouter(tags=["recognition"])


OfYear = Annotated[int | None, Query(ge=2000, le=9999)]


class ShareBody(Body):
    """Whether the other partners may see points and badges of that year."""

    shared: bool


@router.get("/recognition")
@answers(Page[RecognitionDocument])
@reads("recognition")
async def list_recognition(
    caller: Reader, app: App, paged: Paged, partner_id: Filter = None, year: OfYear = None, sort: Sort = "-date"
) -> Response:
    """Points and badges by year, with what they came from; by the day of the last change or by points."""
    app.access.check(caller.principal, READ_RECOGNITION)
    where = {"partner_id": own(caller, partner_id), "year": year}
    return listed(*await page(caller, app, "recognition", paged, where, sorted_by(sort, "changed_at")))


@router.get("/recognition/shared")
@answers(Page[SharedYear])
@reads("recognition")
async def list_shared(caller: Reader, app: App, paged: Paged) -> Response:
    """The years that partners share with each other: who, how many points, which badges, and nothing else."""
    app.access.check(caller.principal, READ_RECOGNITION)
    items, cursor = await page(caller, app, "recognition", paged, {"shared": 1}, sort="-changed_at")
    return listed([_celebrated(item) for item in items], cursor)


def _celebrated(document: dict[str, Any]) -> dict[str, Any]:
    badges = [{"badge": one["badge"], "awarded_at": one["awarded_at"]} for one in document["badges"]]
    return {
        "partner_id": document["partner_id"],
        "year": document["year"],
        "points": sum(document["points"].values()),
        "badges": badges,
    }


@router.post("/recognition/{partner_id}/{year}/share")
async def share(partner_id: Id, year: Year, body: ShareBody, caller: Writer, app: App) -> Response:
    """Lets the other partners see the year, or no longer; only the partner itself can."""
    app.access.check(caller.principal, ShareRecognition)
    document = await app.document(caller.principal, "recognition", recognition_id(partner_id, year))
    wish = ShareRecognition(
        payee_id=document["payee_id"],
        partner_id=document["partner_id"],
        year=year,
        shared=body.shared,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, ShareRecognition, wish)
