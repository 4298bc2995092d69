"""One rulebook: its versions beside each other, rules to try on what really happened, a draft, and its publication."""

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import NotFound
from services.gateway.api.portal.rules import SERVICES, newest_first
from services.gateway.api.portal.visit import NOTHING, Form, Here, PageRoute, Part, Refusal, Sent, Visit, refused

TRY, DRAFT, PUBLISH, ALONGSIDE = "try", "draft", "publish", "alongside"
REFRESH_SECONDS = "1"
RUNS_SHOWN, ROWS_SHOWN = 100, 200
NO_JSON = {"slug": "rules-invalid", "detail": "These rules are not JSON: look for a missing comma, quote or bracket."}
ASKED = "asked"
"""The one count of a report that is of a role; the others are of partners."""

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/rules/{service}/{rulebook_id}")
async def rulebook(service: str, rulebook_id: str, here: Here) -> Response:
    return await _shown(here, service, rulebook_id)


async def _shown(
    here: Visit, service: str, rulebook_id: str, refusal: Refusal | None = None, status: int = 200
) -> Response:
    if service not in SERVICES:
        raise NotFound
    book = await here.ask(service, f"/rulebooks/{rulebook_id}")
    if book.missing:
        raise NotFound
    versions = newest_first(book.one.get("versions", []), here)
    draft = open_draft(book.one)
    modes, beside = await asyncio.gather(
        _modes(here, service, book.one.get("kind")), _beside(here, service, rulebook_id)
    )
    shown = {
        "service": service,
        "book": book,
        "versions": versions,
        "draft": draft,
        "diff": await _diff(here, service, rulebook_id, versions, draft),
        "modes": modes,
        "beside": beside,
        "body": _as_text(draft["body"] if draft else versions[0]["body"] if versions else {}),
    }
    return await here.page("rulebook.html", status, **shown, refusal=refusal)


async def _modes(here: Visit, service: str, kind: Any) -> list[str]:
    """In which modes such rules can be tried."""
    kinds = await here.ask(service, "/kinds") if here.may(f"{service}.shadow runs") else NOTHING
    return next((one["modes"] for one in kinds.items if one["kind"] == kind), [])


async def _beside(here: Visit, service: str, rulebook_id: str) -> list[dict[str, Any]]:
    """The drafts of these rules that run alongside, the newest first."""
    if not here.may(f"{service}.shadow runs"):
        return []
    runs = await here.ask(service, "/shadow-runs", limit=RUNS_SHOWN)
    return [one for one in runs.items if one["rulebook_id"] == rulebook_id and one.get("live")]


def open_draft(book: dict[str, Any]) -> dict[str, Any] | None:
    """The draft, unless it is a version by now."""
    draft: dict[str, Any] | None = book.get("draft")
    published = {version["version"] for version in book.get("versions", [])}
    return draft if draft and draft["version"] not in published else None


async def _diff(here: Visit, service: str, rulebook_id: str, versions: list[Any], draft: Any) -> Part:
    """From the newest version to the draft; else from the version before it to the newest."""
    path = f"/rulebooks/{rulebook_id}/diff"
    if draft and versions:
        return await here.ask(service, path, before=versions[0]["version"])
    if len(versions) > 1:
        return await here.ask(service, path, before=versions[1]["version"], after=versions[0]["version"])
    return NOTHING


def _as_text(body: Any) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


@router.post("/rules/{service}/{rulebook_id}/{verb}")
async def change(service: str, rulebook_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Tries rules on what was recorded, keeps them as a draft, publishes the draft or lets it run alongside."""
    if service not in SERVICES or verb not in (TRY, DRAFT, PUBLISH, ALONGSIDE):
        raise NotFound
    body = _parsed(sent.text("body")) if verb in (TRY, DRAFT) else {}
    if body is None:
        no_json = Refusal(form=verb, values=sent.values, problem=NO_JSON)
        return await _shown(here, service, rulebook_id, no_json, 422)
    answer = await _sent(here, sent, service, rulebook_id, verb, body)
    if not answer.ok:
        return await _shown(here, service, rulebook_id, refused(verb, sent, answer), answer.status)
    if verb in (TRY, ALONGSIDE):
        return here.went(answer, f"/trials/{service}/{answer.json()['run_id']}", "trial")
    return here.went(answer, f"/rules/{service}/{rulebook_id}", verb)


async def _sent(here: Visit, sent: Form, service: str, rulebook_id: str, verb: str, body: Any) -> Answer:
    if verb == TRY:
        wish = {"rulebook_id": rulebook_id, "body": body, **sent.given("mode")}
        return await here.send(sent, service, "/shadow-runs", wish)
    version = sent.text("draft_version")
    drafted = {"version": int(version) if version.isdecimal() else version}
    if verb == ALONGSIDE:
        return await here.send(sent, service, "/shadow-runs", {"rulebook_id": rulebook_id, **drafted, "live": True})
    if verb == PUBLISH:
        wish = {**drafted, **sent.given("mode")}
        return await here.send(sent, service, f"/rulebooks/{rulebook_id}/publish", wish)
    named = {"rulebook_id": rulebook_id, **sent.given("kind", "scope")}
    return await here.send(sent, service, "/rulebooks", {**named, "body": body})


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@router.get("/rules/{service}/{rulebook_id}/shadow")
async def shadow(service: str, rulebook_id: str, here: Here, version: str | None = None) -> Response:
    """What a version in the shadow would have come to since it holds."""
    return await _trial(here, service, f"/rulebooks/{rulebook_id}/shadow", version=version)


@router.get("/trials/{service}/{run_id}")
async def trial(service: str, run_id: str, here: Here) -> Response:
    """What the rules would have come to: how far the run is, then its report."""
    return await _trial(here, service, f"/shadow-runs/{run_id}")


async def _trial(here: Visit, service: str, path: str, **query: Any) -> Response:
    if service not in SERVICES:
        raise NotFound
    run = await here.needed(service, path, **query)
    report = run.get("report") or {}
    named = {one["partner_id"] for one in report.get("partners", [])}
    counted = {one["of"] for one in report.get("counts", []) if one["what"] != ASKED}
    names = await here.names(named | counted)
    deals = {_deal_of(row) for row in report.get("rows", [])[:ROWS_SHOWN]}
    called: dict[str, Any] = {
        "names": names,
        "customers": await here.customers(deals),
        "opens": await here.opens(deals),
    }
    answer = await here.page("trial.html", run=run, service=service, deal_of=_deal_of, rows_max=ROWS_SHOWN, **called)
    if run["status"] == "running":
        answer.headers["Refresh"] = REFRESH_SECONDS
    return answer


def _deal_of(row: dict[str, Any]) -> str | None:
    """The deal that a decision was about, if it was about one."""
    kind, _, identity = (row["stream"] or "").rpartition(":")[2].partition("-")
    return identity if kind == "deal" else None
