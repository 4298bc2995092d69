"""The life of a partner: it applies, is screened, taken in or not, suspended and reinstated."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.decider import Invalid, WrongState
from chassis.event import plain
from chassis.rulebook import Rules, RulesPublished
from chassis.testing.kit import given
from chassis.testing.projections import told
from contracts.values import RuleRef
from services.onboarding.application import HANDLES
from services.onboarding.domain.partner import (
    EXPLAIN,
    SCOPES,
    TYPES,
    AlreadyApplied,
    Apply,
    ApprovePartner,
    ChangeProfile,
    DeclinePartner,
    PartnerActivated,
    PartnerApplied,
    PartnerApproved,
    PartnerDeclined,
    PartnerProfileChanged,
    PartnerReinstated,
    Partners,
    PartnerScreened,
    PartnerSuspended,
    PartnerWithdrawn,
    Profile,
    ReasonRequired,
    ReinstatePartner,
    SuspendPartner,
    WithdrawApplication,
)
from services.onboarding.domain.screening import Application, ScreeningRules, evaluate

NOW = datetime(2026, 3, 3, 10, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
UNTIL = NOW + timedelta(days=30)
BY_COMMAND = {handles.command: handles for handles in HANDLES}
US = Partners.at("p-1")
PROFILE = Profile(
    legal_name="Northwind", country="DE", domains=("northwind.example",), types=("reseller",), locale="en", zone="UTC"
)
PASSED = {
    "outcome": "pass",
    "reasons": [],
    "inputs": [
        {"name": "country", "value": "DE", "event_id": None, "position": None},
        {"name": "domains", "value": ["northwind.example"], "event_id": None, "position": None},
        {"name": "known_domains", "value": [], "event_id": None, "position": None},
    ],
    "would_change": [],
    "detail": {},
}

APPLY = Apply(partner_id="p-1", profile=PROFILE, source="api", rulebook_id="screening", now=NOW)
APPLIED = PartnerApplied(partner_id="p-1", profile=PROFILE, source="api", applied_at=NOW)
SCREENED = PartnerScreened(partner_id="p-1", rules=None, decision=PASSED, screened_at=NOW)
APPROVE = ApprovePartner(partner_id="p-1", approved_by="cm", now=LATER)
APPROVED = PartnerApproved(partner_id="p-1", approved_by="cm", reason=None, approved_at=LATER)
ACTIVATED = PartnerActivated(partner_id="p-1", profile=PROFILE, activated_at=LATER)
DECLINE = DeclinePartner(partner_id="p-1", reason_code="no-need", declined_by="cm", now=LATER)
DECLINED = PartnerDeclined(partner_id="p-1", reason_code="no-need", declined_by="cm", declined_at=LATER)
WITHDRAW = WithdrawApplication(partner_id="p-1", now=LATER)
WITHDRAWN = PartnerWithdrawn(partner_id="p-1", withdrawn_at=LATER)
SUSPEND = SuspendPartner(
    partner_id="p-1", scopes=("access",), reason_code="late", until=UNTIL, suspended_by="cm", now=LATER
)
SUSPENDED = PartnerSuspended(
    partner_id="p-1", scopes=("access",), reason_code="late", until=UNTIL, suspended_by="cm", suspended_at=LATER
)
REINSTATE = ReinstatePartner(partner_id="p-1", reinstated_by="cm", now=LATER)
REINSTATED = PartnerReinstated(partner_id="p-1", reinstated_by="cm", reinstated_at=LATER)
OTHER = replace(PROFILE, legal_name="Northwind Group")
CHANGE = ChangeProfile(partner_id="p-1", profile=OTHER, now=LATER)
CHANGED = PartnerProfileChanged(partner_id="p-1", profile=OTHER, changed_at=LATER)

REVIEW = [APPLIED, SCREENED]
ACTIVE = [*REVIEW, APPROVED, ACTIVATED]
HISTORIES = {
    "none": [],
    "review": REVIEW,
    "active": ACTIVE,
    "suspended": [*ACTIVE, SUSPENDED],
    "declined": [*REVIEW, DECLINED],
    "withdrawn": [*REVIEW, WITHDRAWN],
}


def when(command: Any, *history: Any) -> Any:
    return given(BY_COMMAND[type(command)], (US, history)).when(command)


def test_an_application_is_recorded_and_screened_at_once() -> None:
    when(APPLY).then([APPLIED, SCREENED])


def test_a_screening_names_the_version_of_its_rules() -> None:
    rules = RulesPublished(
        kind="screening",
        rulebook_id="screening",
        version=1,
        scope="default",
        body={"blocked_countries": ["DE"]},
        effective_from=NOW,
        effective_until=None,
        sha256="f" * 64,
        mode="live",
        author="a",
        publisher="b",
        published_at=NOW,
    )
    history = ((US, []), (Rules.at("screening"), [rules]))
    decided = given(BY_COMMAND[Apply], *history).when(APPLY).verdict
    [_, screened] = decided.events[0]
    assert (screened.decision["outcome"], screened.rules) == (
        "decline",
        RuleRef(rulebook_id="screening", version=1, sha256="f" * 64),
    )


@pytest.mark.parametrize("types", [(), ("friend",), ("reseller", "friend")])
def test_a_type_that_is_none_is_refused(types: tuple[str, ...]) -> None:
    when(replace(APPLY, profile=replace(PROFILE, types=types))).refused(Invalid)
    when(replace(CHANGE, profile=replace(PROFILE, types=types)), *ACTIVE).refused(Invalid)


def test_every_type_may_apply() -> None:
    assert len(TYPES) == 10
    several = replace(PROFILE, types=TYPES)
    when(replace(APPLY, profile=several)).then([replace(APPLIED, profile=several), SCREENED])


@pytest.mark.parametrize("state", ["review", "active", "suspended", "declined", "withdrawn"])
def test_a_partner_applies_once(state: str) -> None:
    assert when(APPLY, *HISTORIES[state]).refused(AlreadyApplied).fields == {"state": state}


def test_approving_activates_under_the_profile_that_was_screened() -> None:
    when(APPROVE, *REVIEW).then([APPROVED, ACTIVATED])


def test_approving_over_a_declining_screening_needs_a_reason() -> None:
    history = [APPLIED, replace(SCREENED, decision={**PASSED, "outcome": "decline"})]
    when(APPROVE, *history).refused(ReasonRequired)
    with_reason = replace(APPROVE, reason="Known to us for years.")
    when(with_reason, *history).then([replace(APPROVED, reason="Known to us for years."), ACTIVATED])


@pytest.mark.parametrize(
    ("wish", "history"),
    [
        (APPROVE, ACTIVE),
        (APPROVE, [*ACTIVE, SUSPENDED]),
        (DECLINE, [*REVIEW, DECLINED]),
        (WITHDRAW, [*REVIEW, WITHDRAWN]),
        (SUSPEND, [*ACTIVE, SUSPENDED]),
        (REINSTATE, ACTIVE),
        (REINSTATE, [*ACTIVE, SUSPENDED, REINSTATED]),
        (CHANGE, [*ACTIVE, CHANGED]),
    ],
)
def test_what_is_so_already_changes_nothing(wish: Any, history: list[Any]) -> None:
    when(wish, *history).then_nothing()


@pytest.mark.parametrize(
    ("wish", "history", "event"),
    [
        (DECLINE, REVIEW, DECLINED),
        (WITHDRAW, REVIEW, WITHDRAWN),
        (SUSPEND, ACTIVE, SUSPENDED),
        (REINSTATE, [*ACTIVE, SUSPENDED], REINSTATED),
        (CHANGE, ACTIVE, CHANGED),
        (CHANGE, [*ACTIVE, SUSPENDED], CHANGED),
        (replace(SUSPEND, scopes=("payouts",)), [*ACTIVE, SUSPENDED], replace(SUSPENDED, scopes=("payouts",))),
        (replace(SUSPEND, until=None), [*ACTIVE, SUSPENDED], replace(SUSPENDED, until=None)),
        (replace(SUSPEND, scopes=SCOPES), ACTIVE, replace(SUSPENDED, scopes=SCOPES)),
    ],
)
def test_each_step_is_one_event(wish: Any, history: list[Any], event: Any) -> None:
    when(wish, *history).then([event])


@pytest.mark.parametrize(
    ("wish", "states"),
    [
        (APPROVE, ("none", "declined", "withdrawn")),
        (DECLINE, ("none", "active", "suspended", "withdrawn")),
        (WITHDRAW, ("none", "active", "suspended", "declined")),
        (SUSPEND, ("none", "review", "declined", "withdrawn")),
        (REINSTATE, ("none", "review", "declined", "withdrawn")),
        (CHANGE, ("none", "review", "declined", "withdrawn")),
    ],
)
def test_a_step_that_does_not_fit_the_state_is_refused(wish: Any, states: tuple[str, ...]) -> None:
    for state in states:
        refusal = when(wish, *HISTORIES[state]).refused(WrongState)
        assert refusal.fields["state"] == state


@pytest.mark.parametrize("scopes", [(), ("everything",), ("access", "everything")])
def test_a_scope_that_is_none_is_refused(scopes: tuple[str, ...]) -> None:
    when(replace(SUSPEND, scopes=scopes), *ACTIVE).refused(Invalid)


@pytest.mark.parametrize("until", [LATER, LATER - timedelta(seconds=1)])
def test_a_suspension_ends_in_the_future(until: datetime) -> None:
    when(replace(SUSPEND, until=until), *ACTIVE).refused(Invalid)


def test_a_deadline_ends_only_the_suspension_that_it_was_made_for() -> None:
    by_clock = replace(REINSTATE, reinstated_by="deadline", suspension_until=UNTIL)
    event = replace(REINSTATED, reinstated_by="deadline")
    when(by_clock, *ACTIVE, SUSPENDED).then([event])
    when(by_clock, *ACTIVE, SUSPENDED, replace(SUSPENDED, until=None)).then_nothing()
    when(by_clock, *ACTIVE, SUSPENDED, replace(SUSPENDED, until=UNTIL + timedelta(days=1))).then_nothing()


# Screening

FACTS = Application(country="DE", domains=("northwind.example",))
RULES = ScreeningRules(own_domains=("acme.example",), blocked_countries=("KP",))


@pytest.mark.parametrize(
    ("facts", "outcome", "codes", "without"),
    [
        ({}, "pass", [], []),
        ({"domains": ("acme.example",)}, "decline", ["own-domain"], [("own-domain", "pass")]),
        ({"country": "KP"}, "decline", ["country-blocked"], [("country-blocked", "pass")]),
        ({"known_domains": ("northwind.example",)}, "review", ["duplicate-domain"], [("duplicate-domain", "pass")]),
        ({"domains": ("gmail.com",)}, "review", ["free-mail"], [("free-mail", "pass")]),
        (
            {"country": "KP", "domains": ("gmail.com",)},
            "decline",
            ["country-blocked", "free-mail"],
            [("country-blocked", "review")],
        ),
        ({"country": "KP", "domains": ("acme.example",)}, "decline", ["own-domain", "country-blocked"], []),
    ],
)
def test_all_checks_run_and_the_worst_decides(
    facts: dict[str, Any], outcome: str, codes: list[str], without: list[tuple[str, str]]
) -> None:
    decision = evaluate(replace(FACTS, **facts), RULES)
    assert decision.outcome == outcome
    assert [reason.code for reason in decision.reasons] == codes
    assert [(change.code, change.outcome) for change in decision.would_change] == without


def test_a_screening_explains_itself_from_the_event_alone() -> None:
    decision = evaluate(replace(FACTS, country="KP"), RULES)
    [seen] = told(replace(SCREENED, decision=plain(decision)))
    assert EXPLAIN[PartnerScreened](seen) == decision
