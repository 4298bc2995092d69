"""What is published of how deals, leads and disputes go, and of what a deal's form may say, is what decides."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from chassis.case import SHOW, STEPS
from services.registration.api import deals, disputes, invitations, leads, reviews
from services.registration.api.bodies import RegisterBody
from services.registration.api.machines import DEALS, DISPUTES, MACHINES, form
from services.registration.application import HANDLES, INVITATION_HANDLES, LEAD_HANDLES
from services.registration.domain import invitation
from services.registration.domain.deal import Deals, Status
from services.registration.domain.deal_commands import (
    ApproveDeal,
    FlagMissingLink,
    LinkDeal,
    NoteActivity,
    WarnInactivity,
)
from services.registration.domain.dispute import ConcludeDispute, ShowDisputeEvidence
from services.registration.domain.lead_commands import ForgetLead
from services.registration.domain.lead_machine import MOVES
from services.registration.domain.machine import Move
from services.registration.domain.rules import DealRules
from tests.registration.deals import Town, approval
from tests.registration.service import DESK, Running, deal, seller, started
from tests.registration.test_any_order import TABLE

ROOMS = (deals, reviews, leads, disputes, invitations)
ROUTES = {route.path for room in ROOMS for route in room.router.routes}  # type: ignore[attr-defined]
CREATING = ("save", "submit", "file", "invite")


def edges(moves: dict[type[Any], Move[Status]]) -> set[tuple[Status, Status]]:
    return {(a, b) for move in moves.values() for a in move.begins for b in move.leads if a != b}


def test_the_published_life_of_a_deal_has_every_step_that_is_ever_taken_and_no_other() -> None:
    taken = {(a, b) for a, to in TABLE.items() for b in to}
    of_drafts = {(Status.NONE, Status.DRAFT), *((Status.DRAFT, b) for b in (*TABLE[Status.NONE], Status.WITHDRAWN))}
    reviewed = (Status.IN_REVIEW, Status.ACTION_REQUIRED)
    contested = (Status.REJECTED, Status.WAITING, Status.REVOKED, Status.APPROVED, *reviewed)
    of_disputes = {(a, b) for a in contested for b in (Status.APPROVED, Status.REVOKED, Status.WAITING)}
    assert taken - edges(dict(DEALS)) == set()
    assert edges(dict(DEALS)) - taken - of_drafts - of_disputes == set()


def test_a_dispute_over_a_wait_ends_also_while_the_deal_is_in_review_again() -> None:
    assert {Status.IN_REVIEW, Status.ACTION_REQUIRED} <= set(DEALS[ConcludeDispute].begins)


def test_an_approval_sets_a_deal_behind_a_rival_that_came_to_hold_the_customer_as_is_published() -> None:
    town = Town(priority="first_to_approve")
    for name, partner in (("a", "p-1"), ("b", "p-2")):
        town.register(name, partner)
    for name, partner in (("b", "p-2"), ("a", "p-1")):
        town.run(approval(name, partner))

    assert town.state(Deals.at("a")).status == Status.WAITING
    assert Status.WAITING in DEALS[ApproveDeal].leads


@pytest.mark.parametrize(
    ("moves", "handles", "others"),
    [
        (DEALS, HANDLES, {NoteActivity, WarnInactivity, LinkDeal, FlagMissingLink}),
        (MOVES, LEAD_HANDLES, {ForgetLead}),
        (invitation.MOVES, INVITATION_HANDLES, set()),
    ],
)
def test_every_command_is_published(moves: dict[Any, Any], handles: tuple[Any, ...], others: set[Any]) -> None:
    module = next(iter(moves)).__module__
    commands = {one.command for one in handles if one.command.__module__ == module}
    assert commands - others <= set(moves)
    assert set(moves) <= {one.command for one in HANDLES}


@pytest.mark.parametrize(
    ("name", "path"), [("deal", "deals"), ("lead", "leads"), ("dispute", "disputes"), ("invitation", "invitations")]
)
def test_every_verb_is_asked_for_under_its_name(name: str, path: str) -> None:
    named = {"leads": "lead_id", "invitations": "invitation_id", "disputes": "dispute_id"}
    identity = named.get(path, "registration_id")
    verbs = {move.verb for move in MACHINES[name][1].values() if move.verb} - {*CREATING}
    missing = {verb for verb in verbs if f"/{path}/{{{identity}}}/{verb}" not in ROUTES}
    assert missing <= {"register"}


def test_a_dispute_is_published_as_the_case_decides() -> None:
    published = {(move.begins, move.leads) for move in DISPUTES.values()}
    steps = {(begins, (leads,)) for step, (begins, leads) in STEPS.items() if step != SHOW}
    assert published >= steps
    by_letter: Move[Any] = DISPUTES[ShowDisputeEvidence]
    assert (by_letter.begins, by_letter.leads) == (
        ("evidence_requested", "decided"),
        ("under_review", "decided"),
    ), "a letter that the decision asks for comes after it"


# The form

CUSTOMER = {"name": "Contoso", "country": "DE", "website": "contoso.com"}
BODIES: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"customer": {**CUSTOMER, "website": None}}, False),
    ({"customer": {"name": "Contoso", "country": "DE"}}, False),
    ({"customer": {"name": "Contoso", "country": "DE"}, "confidential": True}, True),
    ({"customer": {"name": "C", "country": "DE", "identifiers": [{"scheme": "vat", "value": "DE1"}]}}, True),
    ({"customer": {"name": "C", "country": "DE", "identifiers": []}}, False),
    ({"customer": {**CUSTOMER, "country": "US"}}, False),
    ({"customer": {**CUSTOMER, "country": "US", "region": ""}}, False),
    ({"customer": {**CUSTOMER, "country": "US", "region": "CA"}}, True),
    ({"customer": {**CUSTOMER, "country": "us"}}, False),
    ({"products": []}, False),
    ({"products": [{}]}, False),
    ({"products": [{"sku": "1"}]}, True),
    ({"role": "resell"}, True),
    ({"role": "owner"}, False),
    ({"other": 1}, False),
    ({"description": "short"}, False),
    ({"amount": {"amount": "1,000", "currency": "EUR"}}, False),
]


@pytest.mark.parametrize(("changes", "fits"), BODIES)
def test_the_published_form_takes_what_a_registration_takes(changes: dict[str, Any], *, fits: bool) -> None:
    body = deal(**changes)
    try:
        RegisterBody.model_validate(body)
        taken = True
    except ValidationError:
        taken = False
    assert (jsonschema_rs.Draft202012Validator(form(DealRules())).is_valid(body), taken) == (fits, fits)


def test_the_form_asks_for_what_the_rules_require_and_takes_their_roles() -> None:
    required = ("description", "evidence", "postcode", "identifiers")
    strict = jsonschema_rs.Draft202012Validator(form(DealRules(required=required, roles=("resell",))))
    customer = {**CUSTOMER, "postcode": "10115", "identifiers": [{"scheme": "vat", "value": "DE1"}]}
    letter = {"kind": "letter", "dated_on": "2026-03-01", "sha256": "d" * 64}
    full = deal(customer=customer, description="A platform for all plants.", evidence=[letter], role="resell")

    assert strict.is_valid(full)
    assert not strict.is_valid({**full, "role": "referral"})
    assert not strict.is_valid({**full, "evidence": []})
    assert not strict.is_valid({**full, "description": None})
    assert not strict.is_valid({**full, "customer": {**customer, "postcode": None}})
    assert not strict.is_valid({**full, "customer": {**customer, "identifiers": []}})


# The service


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        yield asked


async def test_a_partner_reads_how_a_deal_may_go_and_who_may_do_what(registration: Running) -> None:
    found = (await registration.get(seller("p1"), "/machines/deal")).json()

    commands = {one["verb"]: one for one in found["commands"] if one["verb"]}
    assert commands["return"] == {
        "command": "registration.ReturnDeal.v1",
        "verb": "return",
        "from": ["in_review"],
        "to": ["action_required"],
        "who": [{"kind": "vendor", "roles": ["deal_desk"], "duties": []}],
    }
    ends = next(one for one in found["commands"] if one["command"] == "registration.EndProtection.v1")
    assert (ends["verb"], ends["who"]) == (None, [{"kind": "service", "roles": [], "duties": []}])
    assert found["final"] == ["closed", "withdrawn"]
    assert (await registration.get(DESK, "/machines/anything")).status_code == 404
    for name in ("lead", "dispute", "invitation"):
        assert (await registration.get(DESK, f"/machines/{name}")).json()["name"] == name


async def test_the_form_names_the_version_of_the_rules_that_it_follows(registration: Running) -> None:
    assert (await registration.get(DESK, "/schemas/intake")).status_code == 409
    await registration.publish_rules(required=["description"])

    found = (await registration.get(seller("p1"), "/schemas/intake")).json()

    assert found["$id"] == "urn:entente:intake:default:1"
    assert found["rules"]["version"] == 1
    assert "description" in found["required"]
