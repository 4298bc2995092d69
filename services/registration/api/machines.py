"""How deals, leads, disputes and invitations may go, and what a deal's form may say: as data, read off what decides."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Query, Response

from chassis.access import SERVICE, Access
from chassis.answers import answers
from chassis.case import APPEAL, CONCLUDE, DECIDE, HEAR, REQUEST, SHOW, STEPS, WITHDRAW, Stage
from chassis.decider import NotFound
from chassis.http import App, Reader, shown
from chassis.rulebook import Rules
from services.registration.access import READ_INTAKE, READ_MACHINES
from services.registration.api.bodies import CONDITIONS, Id, RegisterBody
from services.registration.application.streams import PROGRAMME
from services.registration.domain import deal, invitation, lead_machine
from services.registration.domain.concluding import REVIEWED
from services.registration.domain.deal import Status
from services.registration.domain.deal_events import Details
from services.registration.domain.dispute import (
    DISPUTABLE,
    FILED_FROM,
    AppealDispute,
    ConcludeDispute,
    DecideDispute,
    FileDispute,
    HearDispute,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
)
from services.registration.domain.judging import in_force, reference
from services.registration.domain.lead import Standing
from services.registration.domain.machine import Move
from services.registration.domain.rules import DealRules
from services.registration.domain.screening import DEAL_RULES

Moves = Mapping[type[Any], Move[Any]]

router = APIRouter(tags=["deals"])


class MayGive(TypedDict):
    """A kind of principal; with roles or duties named, in one of these."""

    kind: str
    roles: list[str]
    duties: list[str]


MachineCommand = TypedDict(
    "MachineCommand",
    {"command": str, "verb": str | None, "from": list[str], "to": list[str], "who": list[MayGive]},
)
"""One command: where it begins, where it leads, and who may give it."""


class Machine(TypedDict):
    """A life as data. No command leaves a `final` state."""

    name: str
    states: list[str]
    final: list[str]
    commands: list[MachineCommand]


class RulesNamed(TypedDict):
    rulebook_id: str
    version: int
    sha256: str


IntakeSchema = TypedDict(
    "IntakeSchema",
    {
        "$schema": str,
        "$id": str,
        "$defs": dict[str, Any],
        "rules": RulesNamed,
        "title": str,
        "description": str,
        "type": str,
        "additionalProperties": bool,
        "anyOf": list[dict[str, Any]],
        "properties": dict[str, Any],
        "required": list[str],
    },
)
"""A JSON Schema, with the version of the rules that it follows."""

# Machines

CONTESTED = (*DISPUTABLE, *REVIEWED, Status.APPROVED)
DEALS: Moves = {**deal.MOVES, ConcludeDispute: Move("", CONTESTED, (Status.APPROVED, Status.REVOKED, Status.WAITING))}
_STEPS = {
    RequestDisputeEvidence: (REQUEST, "request-evidence"),
    ShowDisputeEvidence: (SHOW, "show-evidence"),
    HearDispute: (HEAR, ""),
    DecideDispute: (DECIDE, "decide"),
    AppealDispute: (APPEAL, "appeal"),
    ConcludeDispute: (CONCLUDE, ""),
    WithdrawDispute: (WITHDRAW, "withdraw"),
}
DISPUTES: Moves = {
    FileDispute: Move("file", FILED_FROM, (Stage.OPENED,)),
    **{command: Move(verb, STEPS[step][0], (STEPS[step][1],)) for command, (step, verb) in _STEPS.items()},
    ShowDisputeEvidence: Move("show-evidence", (*STEPS[SHOW][0], Stage.DECIDED), (STEPS[SHOW][1], Stage.DECIDED)),
}
MACHINES: dict[str, tuple[type[StrEnum], Moves]] = {
    "deal": (Status, DEALS),
    "lead": (Standing, lead_machine.MOVES),
    "dispute": (Stage, DISPUTES),
    "invitation": (invitation.Answer, invitation.MOVES),
}


@router.get("/machines/{name}")
@answers(Machine)
async def machine(name: Id, caller: Reader, app: App) -> Response:
    """The states of a `deal`, `lead`, `dispute` or `invitation`; each command: where it begins, leads, and who may give it.

    Every command may also leave it where it stands.
    """
    app.access.check(caller.principal, READ_MACHINES)
    if name not in MACHINES:
        raise NotFound
    states, moves = MACHINES[name]
    return shown(
        {
            "name": name,
            "states": [state.value for state in states],
            "final": [state.value for state in states if not _leaves(state, moves.values())],
            "commands": [_command(command, move, app.access) for command, move in moves.items()],
        }
    )


def _leaves(state: StrEnum, moves: Iterable[Move[Any]]) -> bool:
    return any(state in move.begins and set(move.leads) - {state} for move in moves)


def _command(command: type[Any], move: Move[Any], access: Access) -> MachineCommand:
    rows = [row for row in access.as_rows() if row["action"] == command.type]
    who: list[MayGive] = [{"kind": row["kind"], "roles": row["roles"], "duties": row["duties"]} for row in rows]
    return {
        "command": command.type,
        "verb": move.verb or None,
        "from": [state.value for state in move.begins],
        "to": [state.value for state in move.leads],
        "who": who or [{"kind": SERVICE, "roles": [], "duties": []}],
    }


# The form


@router.get("/schemas/intake")
@answers(IntakeSchema)
async def intake(
    caller: Reader, app: App, programme: Annotated[str, Query(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = PROGRAMME
) -> Response:
    """The JSON Schema of `POST /deals` under the programme's rules in force, for a form of one's own."""
    app.access.check(caller.principal, READ_INTAKE)
    book, _ = await app.executor.state(caller.tenant, Rules.at(programme))
    version = in_force(book, app.clock.now())
    rules = reference(version)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:entente:intake:{rules.rulebook_id}:{rules.version}",
        "rules": {"rulebook_id": rules.rulebook_id, "version": rules.version, "sha256": rules.sha256},
    }
    return shown({**schema, **form(DEAL_RULES.read(version.body))})


def form(rules: DealRules) -> dict[str, Any]:
    """The schema of a registration's body, narrowed by what these rules require and take."""
    schema = RegisterBody.model_json_schema()
    defined = {**schema["$defs"], RegisterBody.__name__: schema}
    for name, condition in CONDITIONS.items():
        defined[name] |= condition
    for name in rules.required:
        _require(schema if name in Details.__dataclass_fields__ else defined["CustomerBody"], name)
    schema["properties"]["role"] = {**schema["properties"]["role"], "enum": [None, *rules.roles]}
    return schema


def _require(schema: dict[str, Any], name: str) -> None:
    """The field is there, and says something."""
    schema["required"] = [*schema.get("required", ()), name]
    kinds = schema["properties"][name].get("anyOf", [schema["properties"][name]])
    given = [kind for kind in kinds if kind.get("type") != "null"]
    least = [{**kind, "minItems": 1} if kind.get("type") == "array" else kind for kind in given]
    plain = {key: value for key, value in schema["properties"][name].items() if key in ("title", "description")}
    schema["properties"][name] = {**plain, **least[0]} if len(least) == 1 else {**plain, "anyOf": least}
