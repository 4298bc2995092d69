"""Imports: a file of deals or sales facts goes in, its dry run is looked at, it is carried out, and it can be taken back."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from chassis.event import frozen
from services.gateway.api.portal.visit import Here, PageRoute, Refusal, Sent, SentWithFile, Visit, refused

IN_HAND = ("uploaded", "applying", "undoing")
REFRESH_SECONDS = "1"
ROWS_MAX = 50
VERBS = ("apply", "undo", "discard")
RESULTS = ("good", "bad", "applied", "refused", "undone", "stays")


@frozen
class Place:
    """One kind of imports: its pages under `page`, its routes under `api` of its service; `words` names it in the texts."""

    page: str
    service: str
    api: str
    words: str

    def action(self, name: str) -> str:
        return f"{self.service}.{name}"


DEALS = Place(page="/batches", service="registration", api="/batches", words="deals")
SALES_FACTS = Place(page="/sales-facts", service="incentives", api="/imports", words="facts")


def pages_of(place: Place) -> APIRouter:
    """The pages of one kind of imports."""
    pages = APIRouter(include_in_schema=False, route_class=PageRoute)

    @pages.get(place.page)
    async def batches(here: Here) -> Response:
        """The form for a file, and what was imported before."""
        return await _list(here, place)

    @pages.post(place.page)
    async def upload(here: Here, sent: SentWithFile) -> Response:
        """Takes the file and goes to the page of its dry run."""
        answer = await here.send_file(sent, place.service, place.api)
        if answer.ok:
            return here.went(answer, f"{place.page}/{answer.json()['batch_id']}", "uploaded")
        return await _list(here, place, refused("upload", sent, answer), answer.status)

    @pages.get(f"{place.page}/{{batch_id}}")
    async def batch(batch_id: str, here: Here) -> Response:
        """How far the import is, what became of each row, and what can be done next."""
        return await _one(here, place, batch_id)

    @pages.post(f"{place.page}/{{batch_id}}/{{verb}}")
    async def move(batch_id: str, verb: str, here: Here, sent: Sent) -> Response:
        """Carries the good rows out, takes back what they made, or throws away what was only tried."""
        if verb not in VERBS:
            raise NotFound
        answer = await here.send(sent, place.service, f"{place.api}/{batch_id}/{verb}")
        if answer.ok:
            return here.went(answer, f"{place.page}/{batch_id}", f"{place.words}-{verb}")
        return await _one(here, place, batch_id, refused(verb, sent, answer), answer.status)

    return pages


router = APIRouter()
for kind in (DEALS, SALES_FACTS):
    router.include_router(pages_of(kind))


async def _list(here: Visit, place: Place, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(place.action("read imports")):
        raise Forbidden
    found = await here.ask(place.service, place.api, cursor=here.request.query_params.get("cursor"))
    columns = await here.ask(place.service, f"{place.api}/columns")
    names = await here.names({one["partner_id"] for one in found.items})
    shown = {"place": place, "batches": found, "columns": columns.one.get("columns", []), "names": names}
    return await here.page("imports.html", status, **shown, refusal=refusal)


async def _one(here: Visit, place: Place, batch_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(place.action("read imports")):
        raise Forbidden
    it = await here.needed(place.service, f"{place.api}/{batch_id}")
    query = here.request.query_params
    result = query.get("result") if query.get("result") in RESULTS else None
    rows = await here.ask(
        place.service, f"{place.api}/{batch_id}/rows", result=result, cursor=query.get("cursor"), limit=ROWS_MAX
    )
    shown: dict[str, Any] = {"place": place, "it": it, "rows": rows, "result": result, "results": RESULTS}
    answer = await here.page("import.html", status, **shown, refusal=refusal)
    if it["stage"] in IN_HAND:
        answer.headers["Refresh"] = f"{REFRESH_SECONDS}; url={place.page}/{batch_id}"
    return answer
