"""Imports: a file of deals goes in, its dry run is looked at, it is carried out, and it can be taken back."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.visit import Here, PageRoute, Refusal, Sent, SentWithFile, Visit, refused

SERVICE, READ = "registration", "registration.read imports"
IN_HAND = ("uploaded", "applying", "undoing")
REFRESH_SECONDS = "1"
ROWS_MAX = 50
VERBS = ("apply", "undo")
RESULTS = ("good", "bad", "applied", "refused", "undone", "stays")

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/batches")
async def batches(here: Here) -> Response:
    """The form for a file, and what was imported before."""
    return await _list(here)


async def _list(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(READ):
        raise Forbidden
    found = await here.ask(SERVICE, "/batches", cursor=here.request.query_params.get("cursor"))
    columns = await here.ask(SERVICE, "/batches/columns")
    names = await here.names({one["partner_id"] for one in found.items})
    shown = {"batches": found, "columns": columns.one.get("columns", []), "names": names}
    return await here.page("imports.html", status, **shown, refusal=refusal)


@router.post("/batches")
async def upload(here: Here, sent: SentWithFile) -> Response:
    """Takes the file and goes to the page of its dry run."""
    answer = await here.send_file(sent, SERVICE, "/batches")
    if answer.ok:
        return here.went(answer, f"/batches/{answer.json()['batch_id']}", "uploaded")
    return await _list(here, refused("upload", sent, answer), answer.status)


@router.get("/batches/{batch_id}")
async def batch(batch_id: str, here: Here) -> Response:
    """How far the import is, what became of each row, and what can be done next."""
    return await _one(here, batch_id)


async def _one(here: Visit, batch_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(READ):
        raise Forbidden
    found = await here.ask(SERVICE, f"/batches/{batch_id}")
    if not found.ok:
        raise NotFound
    query = here.request.query_params
    result = query.get("result") if query.get("result") in RESULTS else None
    rows = await here.ask(
        SERVICE, f"/batches/{batch_id}/rows", result=result, cursor=query.get("cursor"), limit=ROWS_MAX
    )
    shown: dict[str, Any] = {"it": found.one, "rows": rows, "result": result, "results": RESULTS}
    answer = await here.page("import.html", status, **shown, refusal=refusal)
    if found.one["stage"] in IN_HAND:
        answer.headers["Refresh"] = f"{REFRESH_SECONDS}; url=/batches/{batch_id}"
    return answer


@router.post("/batches/{batch_id}/{verb}")
async def move(batch_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Carries the good rows out, or takes back what they made."""
    if verb not in VERBS:
        raise NotFound
    answer = await here.send(sent, SERVICE, f"/batches/{batch_id}/{verb}")
    if answer.ok:
        return here.went(answer, f"/batches/{batch_id}", f"import-{verb}")
    return await _one(here, batch_id, refused(verb, sent, answer), answer.status)
