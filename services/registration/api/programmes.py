"""A programme's rules by its own name: what `/rulebooks` and `/shadow-runs` do for rules of every kind."""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from chassis import rulebook_api, shadow_api
from chassis.afresh import RECORDED, Mode
from chassis.answers import answers
from chassis.decider import NotFound
from chassis.http import App, Body, Instant, Reader, Writer, reads
from chassis.rulebook_api import Id, ShownRulebook
from chassis.shadow_runs import ShadowRun
from services.registration.domain.screening import DEAL_RULES

router = APIRouter(tags=["programmes"])


class RulesBody(Body):
    """Rules to work on. Each example must come to its outcome before they are published."""

    body: dict[str, Any]
    examples: Annotated[list[dict[str, Any]], Field(max_length=100)] = []


class RunBody(Body):
    """A version of the programme's rules (also its draft), or a `body` that nobody has drafted, over what was recorded."""

    version: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    body: dict[str, Any] | None = None
    from_at: Instant | None = None
    until_at: Instant | None = None
    mode: Mode = RECORDED
    live: bool = False


@router.get("/programmes/{programme}/rules")
@answers(ShownRulebook)
@reads("rulebooks")
async def rules(programme: Id, caller: Reader, app: App) -> Response:
    """The rules for deals in this programme, with every version that was ever published: `/rulebooks/{programme}`."""
    app.access.check(caller.principal, rulebook_api.READ)
    found = await app.read.get("rulebooks", caller.tenant, programme)
    if found is None or found["kind"] != DEAL_RULES.name:
        raise NotFound
    answer: Response = await rulebook_api.one_rulebook(programme, caller, app)
    return answer


@router.put("/programmes/{programme}/rules")
@answers(rulebook_api.DraftedRules)
async def draft(programme: Id, body: RulesBody, caller: Writer, app: App) -> Response:
    """Keeps a draft of the programme's rules, replacing the draft before it, as `POST /rulebooks` does."""
    drafted = rulebook_api.Draft(rulebook_id=programme, kind=DEAL_RULES.name, body=body.body, examples=body.examples)
    answer = await rulebook_api.draft(drafted, caller, app)
    answer.status_code = 200
    return answer


@router.post("/programmes/{programme}/rules/publish")
@answers(rulebook_api.PublishedRules)
async def publish(programme: Id, body: rulebook_api.Publish, caller: Writer, app: App) -> Response:
    """Publishes the draft, as `/rulebooks/{programme}/publish` does."""
    return await rulebook_api.publish(programme, body, caller, app)


@router.post("/programmes/{programme}/shadow-runs", status_code=202)
@answers(ShadowRun)
async def run(programme: Id, body: RunBody, caller: Writer, app: App) -> Response:
    """Begins a shadow run of the programme's rules, as `POST /shadow-runs` does; `GET /shadow-runs/{run_id}` answers it."""
    given = body.model_dump(exclude_unset=True)
    asked = shadow_api.ShadowBody(rulebook_id=programme, kind=DEAL_RULES.name if body.body else None, **given)
    answer: Response = await shadow_api.begin(asked, caller, app)
    return answer
