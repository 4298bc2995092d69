"""Shadow runs over HTTP, the same in every service: what would other rules have come to, on what really happened?"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.access import Who, vendor
from chassis.afresh import RECORDED, Mode
from chassis.answers import Page, answers
from chassis.application import Application
from chassis.decider import Invalid, NotFound
from chassis.event import iso
from chassis.http import (
    JSON,
    App,
    Body,
    Caller,
    Instant,
    Paged,
    Paging,
    Reader,
    Writer,
    listed,
    opened_cursor,
    shown,
    signed_cursor,
)
from chassis.rulebook import Kind, NoDraft, Rulebook, Rules, body_sha256, sound
from chassis.rulebook_api import Id, RulebookId
from chassis.shadow import Candidate, Window, position_at
from chassis.shadow_live import as_of_now, going_on, in_shadow, of_version
from chassis.shadow_runs import Asked, ListedRun, ShadowRun

SHADOW = "shadow runs"
TABLE: dict[Any, tuple[Who, ...]] = {SHADOW: (vendor("admin"), vendor("deal_desk"), vendor("finance"))}
SHADOW_RUN = "shadow_run"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class NothingLookedUp(Invalid):
    """Decisions under rules of this kind rest on nothing that was looked up besides: ask for the mode `recorded`."""

    slug = "nothing-looked-up"


class ShadowBody(Body):
    """A version of a rulebook (also its draft), or a `body` that nobody has drafted, over what was recorded in between.

    Mode: `recorded` decides on what was looked up when each command came; `full` looks it up again, as it was by then
    under these rules. `modes` of the kind says which there are.

    A `live` run goes on beside what happens, from now on where nothing else is said, until `until_at` or for good.
    """

    rulebook_id: RulebookId
    kind: Annotated[str | None, Field(max_length=64)] = None
    version: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    body: dict[str, Any] | None = None
    from_at: Instant | None = None
    until_at: Instant | None = None
    mode: Mode = RECORDED
    live: bool = False


router = APIRouter(tags=["shadow runs"])


@router.post("/shadow-runs", status_code=202)
@answers(ShadowRun)
async def begin(body: ShadowBody, caller: Writer, app: App) -> Response:
    """Begins a shadow run and answers where to ask for its report. Nothing that happened is changed by it."""
    app.access.check(caller.principal, SHADOW)
    if app.shadow_runs is None:
        raise NotFound
    asked = await asked_for(app, caller.tenant, body, caller.new_id("shadow-run"))
    asked = replace(asked, asked={"mode": asked.mode, **asked.asked})
    if body.live:
        found = await as_of_now(app, replace(asked, asked={**asked.asked, **going_on(body.until_at)}))
    else:
        found = await app.shadow_runs.begin(asked)
    return Response(orjson.dumps(found), status_code=202, media_type=JSON)


@router.get("/shadow-runs")
@answers(Page[ListedRun])
async def list_runs(caller: Reader, app: App, paged: Paged) -> Response:
    """The shadow runs that were asked for, the newest first, without their reports."""
    return await runs_of(SHADOW_RUN, caller, app, paged)


async def runs_of(asked_as: str, caller: Caller, app: Application, paged: Paging) -> Response:
    """A page of the runs that were asked for in one way."""
    app.access.check(caller.principal, SHADOW)
    if app.shadow_runs is None:
        raise NotFound
    of = f"runs {asked_as}"
    after = opened_cursor(app, caller.tenant, of, paged.cursor)
    items, last = await app.shadow_runs.listed(caller.tenant, asked_as, paged.limit, after)
    return listed(items, None if last is None else signed_cursor(app, caller.tenant, of, last))


@router.get("/shadow-runs/{run_id}")
@answers(ShadowRun)
async def result(run_id: Annotated[str, Path(min_length=1, max_length=64)], caller: Reader, app: App) -> Response:
    """How far the run is, and its report once it is ready; of one that goes on, as of now."""
    app.access.check(caller.principal, SHADOW)
    if app.shadow_runs is None:
        raise NotFound
    run = await app.shadow_runs.going_on(caller.tenant, run_id)
    return shown(await as_of_now(app, run) if run else await app.shadow_runs.find(caller.tenant, run_id))


@router.get("/rulebooks/{rulebook_id}/shadow")
@answers(ShadowRun)
async def alongside(
    rulebook_id: Id, caller: Reader, app: App, version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None
) -> Response:
    """What rules that were published in the shadow would have come to, since they hold and until they end.

    The newest such version, or that of a number. The report is made when it is asked for, of all that happened until then.
    """
    app.access.check(caller.principal, SHADOW)
    book: Rulebook = await app.executor.peek(caller.tenant)(Rules.at(rulebook_id))
    return shown(await as_of_now(app, of_version(caller.tenant, in_shadow(book, version))))


async def asked_for(app: Application, tenant: str, body: ShadowBody, run_id: str, asked_as: str = SHADOW_RUN) -> Asked:
    """The run with its candidate found and its instants resolved to positions, once."""
    book, _ = await app.executor.state(tenant, Rules.at(body.rulebook_id))
    candidate = await candidate_of(app, book, body)
    if app.shadow_runs is None or body.mode not in app.shadow_runs.modes_of(candidate.kind):
        raise NothingLookedUp(f"rules of kind {candidate.kind} are tried in the mode {RECORDED} only")
    from_at = body.from_at or (app.clock.now() if body.live else BEGINNING)
    until_at = body.until_at or app.clock.now()
    window = Window(
        tenant=tenant,
        after=await position_at(app.executor.store, from_at),
        until=await position_at(app.executor.store, until_at),
    )
    asked = {
        "asked_as": asked_as,
        "begun_at": iso(app.clock.now()),
        "kind": candidate.kind,
        "rulebook_id": candidate.rulebook_id,
        "version": candidate.version,
        "sha256": candidate.sha256,
        "from_at": iso(from_at),
        "until_at": iso(until_at),
        "after_position": window.after,
        "until_position": window.until,
    }
    return Asked(run_id=run_id, candidate=candidate, window=window, asked=asked, mode=body.mode)


async def candidate_of(app: Application, book: Rulebook, body: ShadowBody) -> Candidate:
    """The rules to try, as they would be kept. Raises NotFound for a rulebook that never was, NoDraft, RulesInvalid."""
    first = book.versions[0] if book.versions else book.draft
    if first is None:
        raise NotFound(f"there is no rulebook {body.rulebook_id}")
    kind: Kind[Any, Any] = app.kinds[first.kind]
    if body.body is None:
        number, rules = _version(book, body.version)
    else:
        number, rules = book.next_version, await asyncio.to_thread(kind.completed, body.body, app.clock.now())
    sound(kind.check(kind.read(rules)))
    return Candidate(
        rulebook_id=body.rulebook_id,
        kind=first.kind,
        scope=first.scope,
        version=number,
        body=rules,
        sha256=body_sha256(rules),
    )


def _version(book: Rulebook, number: int | None) -> tuple[int, dict[str, Any]]:
    """A published version by its number; without one the draft."""
    published = book.version(number) if number is not None else None
    if published is not None:
        return published.version, published.body
    if book.draft is not None and number in (None, book.draft.version):
        return book.draft.version, book.draft.body
    raise NoDraft(f"version {number} is neither drafted nor published", draft=None)
