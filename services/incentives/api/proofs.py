"""Proofs of statements over HTTP: everything that a partner needs to recompute one alone."""

from collections.abc import Iterable
from typing import Annotated, Any, NotRequired, TypedDict

import orjson
from fastapi import APIRouter, Path, Request, Response

from chassis.access import PARTNER
from chassis.answers import answers
from chassis.application import Application
from chassis.event import sha256
from chassis.http import App, Reader, Writer, reads, shown
from chassis.proof import without_states
from chassis.store.port import Recorded
from services.incentives.access import READ_EARNINGS
from services.incentives.api.mergers import statement_for
from services.incentives.application.paying import worth_alone
from services.incentives.application.proving import behind, recorded_at
from services.incentives.domain.sale_events import PayoutCalculated, PayoutReversed
from services.incentives.domain.verifying import FORMAT, as_recorded, verify

Id = Annotated[str, Path(min_length=1, max_length=64)]
LIFE = ("PayoutReversed", "PayoutReleased", "PayoutPostponed", "PayoutPutUnderReview", "PayoutAdjusted")
"""The steps of a line that move its money, or hold it."""
STATED_LATER = ("event_id", "position", "amount_sorts")
"""What the read model adds to a statement."""

router = APIRouter(tags=["proofs"])


class StoredEvent(TypedDict):
    """One recorded event. `sha256` is of its body as it was stored, `state` all that was stored, in base 64.

    `leaf` and `proof` lead from it to the root that the checkpoint signs. Of a partner's part in another partner's sale
    it reads where it stands alone: `data`, `sha256` and `state` are null, with `leaf_hash` in their place.
    """

    id: str
    position: int
    version: int
    type: str
    stream: str
    sha256: str | None
    data: dict[str, Any] | None
    state: str | None
    leaf_hash: NotRequired[str]
    leaf: int
    proof: list[str]


class PlanWords(TypedDict):
    """A plan's words, under which a line was earned."""

    rulebook_id: str
    version: int
    sha256: str
    body: dict[str, Any]


class StatementProof(TypedDict):
    """The statement as it was issued, all that became of its lines, windows, claims and payments, and the plans' words.

    `issued` is the statement's own event. The checkpoint, signed by the witness's key, covers it and all the others. Of the
    lines in `kept_back` it is not shown how they were earned.
    """

    format: str
    statement: dict[str, Any]
    key: str
    checkpoint: str
    issued: StoredEvent
    events: list[StoredEvent]
    plans: list[PlanWords]
    kept_back: list[str]


class Verified(TypedDict):
    """Whether the proof holds, what speaks against it, and what of an older one was taken as it was recorded."""

    holds: bool
    findings: list[str]
    as_recorded: list[str]


@router.get("/statements/{statement_id}/proof")
@answers(StatementProof)
@reads("statements")
async def statement_proof(statement_id: Id, caller: Reader, app: App) -> Response:
    """The statement with its events, the lines' derivations and the plans' words: `verify-statement` checks it offline."""
    found = await statement_for(caller, app, statement_id)
    proof = await proof_of(app, caller.tenant, found, whole=caller.principal.kind != PARTNER)
    disposition = f'attachment; filename="statement-{found["number"]}.json"'
    return Response(
        orjson.dumps(proof, option=orjson.OPT_INDENT_2),
        media_type="application/json",
        headers={"Content-Disposition": disposition},
    )


async def proof_of(app: Application, tenant: str, statement: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """The statement as it was issued, the events that its lines name, and all that those follow from.

    For a partner it is not `whole`: a part of another partner's sale shows that it stands in the log, not what it says.
    """
    await app.caught_up("earnings")
    causes = sorted({line["cause"] for line in statement["lines"]})
    lines = await app.read.get_many("earnings", tenant, causes)
    earned = {line_id: line for line_id, line in lines.items() if whole or line["credited_id"] is None}
    positions = {line["position"] for line in statement["lines"]} | {one["position"] for one in earned.values()}
    positions |= {*await _steps(app, tenant, earned.values()), *await worth_alone(app, tenant, statement)}
    named = [await recorded_at(app, position) for position in sorted(positions) if position <= statement["to_position"]]
    stated = {one.position: one for one in (*named, *await behind(app, tenant, named, statement["to_position"]))}
    found = [await recorded_at(app, statement["position"]), *(stated[position] for position in sorted(stated))]
    assert app.covering is not None
    covering = await app.covering(found)
    stored, hashed = covering["events"], without_states(covering)["events"]
    issued, *events = [
        _event(one, as_hash if _of_another(one) and not whole else as_stored)
        for one, as_stored, as_hash in zip(found, stored, hashed, strict=True)
    ]
    wanted = {(one["plan_id"], one["plan_version"]) for one in earned.values()}
    return {
        "format": FORMAT,
        "statement": {name: value for name, value in statement.items() if name not in STATED_LATER},
        "key": covering["key"],
        "checkpoint": covering["checkpoint"],
        "issued": issued,
        "events": events,
        "plans": await _plans(app, tenant, wanted),
        "kept_back": sorted(lines.keys() - earned.keys()),
    }


async def _steps(app: Application, tenant: str, earned: Iterable[dict[str, Any]]) -> set[int]:
    """Where in the log stands what became of these lines."""
    await app.caught_up("event_places")
    steps = [step["event_id"] for line in earned for step in line["history"] if step["kind"] in LIFE]
    return {place["position"] for place in (await app.read.get_many("event_places", tenant, steps)).values()}


def _event(recorded: Recorded, proven: dict[str, Any]) -> dict[str, Any]:
    body = bytes(recorded.data)
    if proven["state"] is None:
        return {"id": recorded.id, **proven, "sha256": None, "data": None}
    return {"id": recorded.id, **proven, "sha256": sha256(body), "data": orjson.loads(body)}


def _of_another(recorded: Recorded) -> bool:
    """Whether an event holds what another partner sold and earned."""
    happened = recorded.seen("incentives").event
    return isinstance(happened, PayoutCalculated | PayoutReversed) and happened.whose != happened.key.partner_id


async def _plans(app: Application, tenant: str, wanted: set[tuple[str, int]]) -> list[dict[str, Any]]:
    books = await app.read.get_many("rulebooks", tenant, sorted({plan_id for plan_id, _ in wanted}))
    return [
        {"rulebook_id": plan_id, "version": version, "sha256": one["sha256"], "body": one["body"]}
        for plan_id, version in sorted(wanted)
        for one in books.get(plan_id, {"versions": ()})["versions"]
        if one["version"] == version
    ]


@router.post("/statements/verify")
@answers(Verified)
async def check(request: Request, caller: Writer, app: App) -> Response:
    """Checks a downloaded proof as the offline verifier does; nothing is stored."""
    app.access.check(caller.principal, READ_EARNINGS)
    text = (await request.body()).decode(errors="replace")
    findings = verify(text)
    told = [] if findings else as_recorded(text)
    return shown({"holds": not findings, "findings": findings, "as_recorded": told})
