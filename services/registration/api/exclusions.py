"""What the vendor keeps for itself, over HTTP."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.http import App, Body, Day, Paged, Reader, Writer, listed, page, perform, reads
from services.registration.access import READ_EXCLUSIONS
from services.registration.api.bodies import Id
from services.registration.domain.exclusion import FAMILY, AddExclusion, EndExclusion
from services.registration.domain.overlap import normal_product
from services.registration.projections.exclusions import ExclusionDocument

TARGET_CHARACTERS_MAX = 262
# Its length stands beside the pattern: a pattern that repeats any letter so often takes 1 MiB of memory.
Target = Annotated[
    str, Field(pattern=r"^(account|domain|vat|lei|duns|registry|tax|family):[^\s]+$", max_length=TARGET_CHARACTERS_MAX)
]

router = APIRouter(tags=["exclusions"])


class ExclusionBody(Body):
    """What is excluded (`account:<id>`, `domain:contoso.com`, `vat:DE:DE123456789`, `family:cloud`), and from when.

    `contacted_on` is when the vendor last spoke to the customer; a `contact` excludes nobody.
    """

    target: Target
    kind: Literal["named", "house", "vendor_direct", "contact"]
    from_on: Day
    until_on: Day | None = None
    contacted_on: Day | None = None


class EndBody(Body):
    target: Target


@router.post("/exclusions", status_code=201)
async def add(body: ExclusionBody, caller: Writer, app: App) -> Response:
    """Keeps a customer, a key or a family for the vendor. Partners that have asked before are not touched."""
    command = AddExclusion(
        target=_normal(body.target),
        exclusion_id=caller.new_id("exclusion"),
        kind=body.kind,
        from_on=body.from_on,
        until_on=body.until_on,
        contacted_on=body.contacted_on,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, AddExclusion, command, status=201)


def _normal(target: str) -> str:
    """The target in the form in which deals are compared with it: a family however it was typed."""
    kind, _, name = target.partition(":")
    return f"{kind}:{normal_product(name)}" if kind == FAMILY else target


@router.post("/exclusions/{exclusion_id}/end")
async def end(exclusion_id: Id, body: EndBody, caller: Writer, app: App) -> Response:
    """Takes an entry away; what it decided stays decided."""
    command = EndExclusion(target=body.target, exclusion_id=exclusion_id, by=caller.principal.by, now=app.clock.now())
    return await perform(caller, app, EndExclusion, command)


@router.get("/exclusions")
@answers(Page[ExclusionDocument])
@reads("exclusions")
async def exclusions(
    caller: Reader, app: App, paged: Paged, target: Annotated[str | None, Query(max_length=300)] = None
) -> Response:
    """The entries, the newest first."""
    app.access.check(caller.principal, READ_EXCLUSIONS)
    items, cursor = await page(caller, app, "exclusions", paged, {"target": target}, "-from_on")
    return listed(items, cursor)
