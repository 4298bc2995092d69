"""What the decisions on a deal rest on, to be checked by whoever has the witness's key."""

from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count, takewhile
from typing import Any, TypedDict

from fastapi import APIRouter, Response

from chassis.answers import answers
from chassis.decider import NotFound, stream_name
from chassis.http import App, Caller, Reader, shown
from chassis.proof import StreamProof, without_states
from chassis.rulebook import Rules
from services.registration.access import READ_DEALS
from services.registration.api.bodies import Id
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.deal import Deal, Deals

router = APIRouter(tags=["deals"])


class DealProof(TypedDict):
    """A proof of each stream that the deal's decisions rest on; `claims` has one for each customer that it enters."""

    registration_id: str
    deal: StreamProof
    claims: list[StreamProof]
    rules: StreamProof
    rules_version: int


@router.get("/deals/{registration_id}/proof")
@answers(DealProof)
async def proof(registration_id: Id, caller: Reader, app: App) -> Response:
    """The deal's events, those of its customers' claims and of its rules, each proven under the newest checkpoint.

    A partner gets the hash of each event in place of its bytes, and of claims not even what kind of event it is, nor
    what came after its own deal's last step: rivals would be seen to move.
    """
    app.access.check(caller.principal, READ_DEALS)
    deal: Deal = await app.executor.peek(caller.tenant)(Deals.at(registration_id))
    app.access.check(caller.principal, READ_DEALS, deal.first.partner_id)
    rules, last = deal.first.terms.rules, await _last_step(caller, app, registration_id)
    return shown(
        {
            "registration_id": registration_id,
            "deal": await _proven(caller, app, Deals.kind, registration_id),
            "claims": [part for one in deal.accounts async for part in _line(caller, app, one, last)],
            "rules": await _proven(caller, app, Rules.kind, rules.rulebook_id),
            "rules_version": rules.version,
        }
    )


async def _proven(caller: Caller, app: App, kind: str, identity: str) -> dict[str, Any]:
    if app.proof is None:
        raise NotFound
    found = await app.proof(stream_name(caller.tenant, kind, identity))
    return without_states(found) if caller.principal.kind == "partner" else found


async def _last_step(caller: Caller, app: App, registration_id: str) -> int:
    """The position of the last event that was recorded together with the deal's last one."""
    store = app.executor.store
    last = (await store.load(stream_name(caller.tenant, Deals.kind, registration_id)))[-1]
    following = await store.feed(last.position, app.together_max)
    together = takewhile(lambda one: one.command_id == last.command_id, following)
    return max((one.position for one in together), default=last.position)


async def _line(caller: Caller, app: App, account_id: str, last: int) -> AsyncIterator[dict[str, Any]]:
    """A customer's line of claims, with each segment in which a long one goes on."""
    yield _unnamed(caller, await _proven(caller, app, ClaimsOf.kind, account_id), last)
    with suppress(NotFound):
        for number in count(2):
            yield _unnamed(caller, await _proven(caller, app, ClaimsOf.kind, f"{account_id}~{number}"), last)


def _unnamed(caller: Caller, found: dict[str, Any], last: int) -> dict[str, Any]:
    """A line of claims as one of those in it may have it."""
    if caller.principal.kind != "partner":
        return found
    events = [{**event, "type": ""} for event in found["events"] if event["position"] <= last]
    return {**found, "events": events}
