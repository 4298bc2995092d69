"""Random lives of leads: whatever is asked in whatever order, only the published states are met, and one partner has it."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chassis.decider import Problem
from chassis.event import LEFT_OUT, Sealed
from chassis.rulebook import Rules
from chassis.testing.projections import assert_repeatable, project, told
from contracts.values import PartnerId
from services.registration.domain.lead import Company, Enquiry, LeadAccepted, LeadAssigned, Leads, Standing
from services.registration.domain.lead_commands import (
    AcceptLead,
    AppealLead,
    AssignLead,
    ClaimLead,
    CloseLead,
    ConvertLead,
    DeclineLead,
    ForgetLead,
    LapseOffers,
    PoolLead,
    ReclaimLead,
    ReleaseLead,
    ReportProgress,
    ReturnLead,
    SubmitLead,
)
from services.registration.domain.lead_mark import CUSTOMER, TEXT, Mark
from services.registration.domain.rotation import Rotations, identity
from services.registration.domain.routing import Taker
from services.registration.projections import lead_due
from services.registration.projections.lead_figures import LEAD_FIGURES
from services.registration.projections.lead_takers import LEAD_TAKERS, shares
from services.registration.projections.leads import LEADS, for_partner
from services.registration.reactions import DEADLINES
from tests.registration.deals import NOW, Town, decided_again, rules

WHO = st.sampled_from([PartnerId("p-1"), PartnerId("p-2"), PartnerId("p-3")])
LEADS_ASKED = ("l-1", "l-2")
LEAD = st.sampled_from(LEADS_ASKED)
NEXT = {
    Standing.NONE: {Standing.OPEN, Standing.QUARANTINED, Standing.CLOSED},
    Standing.QUARANTINED: {Standing.OPEN, Standing.CLOSED},
    Standing.OPEN: {Standing.OFFERED, Standing.POOLED, Standing.CLOSED},
    Standing.OFFERED: {Standing.ACCEPTED, Standing.OPEN, Standing.CLOSED},
    Standing.POOLED: {Standing.ACCEPTED, Standing.OFFERED, Standing.CLOSED},
    Standing.ACCEPTED: {Standing.OPEN, Standing.CONVERTED, Standing.CLOSED},
    Standing.CONVERTED: set(),
    Standing.CLOSED: set(),
}
"""The table of the page: from each state, those that one command leads to."""
SEALED = Sealed(subject="lead-1", box="box")


def submission(lead_id: str, now: datetime = NOW, **changes: Any) -> SubmitLead:
    enquiry = Enquiry(
        direction="outbound",
        company=Company(name="Fabrikam", country="DE"),
        need=SEALED,
        families=("cloud",),
        source="event",
    )
    known = SubmitLead(
        lead_id=lead_id,
        rulebook="routing",
        by="desk",
        now=now,
        number=f"L-{lead_id}",
        programme="default",
        enquiry=enquiry,
        marks=(Mark(kind=TEXT, key=f"t-{lead_id}"), Mark(kind=CUSTOMER, key=f"c-{lead_id}")),
    )
    return replace(known, **changes)


def town(**body: Any) -> Town:
    made = Town()
    book = replace(rules(**body), rulebook_id="routing", kind="lead_rules")
    made.keep(Rules.at("routing"), [book])
    return made


class LeadLives(RuleBasedStateMachine):
    @initialize(strategy=st.sampled_from(["least_recent", "broadcast", "weighted"]), held=st.booleans())
    def open(self, strategy: str, *, held: bool) -> None:
        self.rules = {"strategy": strategy, "rounds": 3}
        self.town = town(**self.rules)
        self.now = NOW
        self.seen: dict[str, Standing] = {}
        for lead, role in (("l-1", "resell"), ("l-2", LEFT_OUT)):
            known = submission(lead, trapped=held)
            self.ask(replace(known, enquiry=replace(known.enquiry, role=role)))

    def teardown(self) -> None:
        """All that was decided of leads, refusals too, is decided again from its bytes, and comes out the same to the byte."""
        if hasattr(self, "town"):
            assert decided_again(self.town, town(**self.rules)) >= len(LEADS_ASKED)

    def ask(self, command: Any) -> None:
        before = self.standings()
        with contextlib.suppress(Problem):
            self.town.told(command)
        for lead, state in self.standings().items():
            was = before.get(lead, Standing.NONE)
            assert state == was or state in NEXT[was], (command, was, state)

    def standings(self) -> dict[str, Standing]:
        return {lead: self.town.state(Leads.at(lead)).standing for lead in ("l-1", "l-2")}

    def on(self, lead: str) -> dict[str, Any]:
        return {"lead_id": lead, "rulebook": "routing", "by": "somebody", "now": self.now}

    def takers(self) -> tuple[Taker, ...]:
        return tuple(Taker(partner_id=PartnerId(who)) for who in ("p-1", "p-2", "p-3"))

    @rule(lead=LEAD, by_hand=st.booleans(), named=st.none() | WHO)
    def assign(self, lead: str, *, by_hand: bool, named: PartnerId | None) -> None:
        self.ask(AssignLead(**self.on(lead), takers=self.takers(), by_hand=by_hand, named=named if by_hand else None))

    @rule(lead=LEAD, who=WHO, what=st.sampled_from(["accept", "decline", "claim", "report", "return", "convert"]))
    def answer(self, lead: str, who: PartnerId, what: str) -> None:
        fields = self.on(lead)
        mine = {**fields, "partner_id": who}
        commands = {
            "accept": lambda: AcceptLead(**mine),
            "decline": lambda: DeclineLead(**mine, reason_code="no-fit"),
            "claim": lambda: ClaimLead(**fields, taker=Taker(partner_id=who)),
            "report": lambda: ReportProgress(**mine, step="contacted"),
            "return": lambda: ReturnLead(**mine, reason_code="no-fit"),
            "convert": lambda: ConvertLead(**mine),
        }
        self.ask(commands[what]())

    @rule(lead=LEAD, command=st.sampled_from([PoolLead, LapseOffers, ReclaimLead, ReleaseLead]))
    def housekeeping(self, lead: str, command: Any) -> None:
        self.ask(command(**self.on(lead)))

    @rule(lead=LEAD, code=st.sampled_from(["unqualified", "lost", "expired"]), who=st.none() | WHO)
    def close(self, lead: str, code: str, who: PartnerId | None) -> None:
        ended = self.town.state(Leads.at(lead)).due_at if code == "expired" else None
        self.ask(
            CloseLead(**self.on(lead), reason_code=code, partner_id=None if code == "expired" else who, ended=ended)
        )

    @rule(lead=LEAD, who=WHO)
    def appeal(self, lead: str, who: PartnerId) -> None:
        self.ask(AppealLead(**self.on(lead), statement=SEALED, partner_id=who))

    @rule(lead=LEAD)
    def forget(self, lead: str) -> None:
        self.ask(ForgetLead(**self.on(lead)))

    @rule(hours=st.sampled_from([1, 30, 24 * 20]))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @invariant()
    def one_has_it_and_turns_are_those_of_the_offers(self) -> None:
        if not hasattr(self, "town"):
            return
        for lead in ("l-1", "l-2"):
            state = self.town.state(Leads.at(lead))
            assert (state.standing == Standing.OFFERED) <= bool(state.offers)
            assert (state.standing == Standing.ACCEPTED) <= (state.holder is not None)


TestLeadLives = LeadLives.TestCase
TestLeadLives.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def a_life() -> Town:
    """Offered, declined, offered to another, accepted, reported, returned, offered, accepted, converted."""
    made, at = town(), NOW
    made.told(submission("l-1"))
    takers = tuple(Taker(partner_id=PartnerId(who)) for who in ("p-1", "p-2", "p-3"))

    def on(**fields: Any) -> dict[str, Any]:
        return {"lead_id": "l-1", "rulebook": "routing", "by": "x", "now": at, **fields}

    for who, steps in (
        ("p-1", (DeclineLead,)),
        ("p-2", (AcceptLead, ReportProgress, ReturnLead)),
        ("p-3", (AcceptLead, ConvertLead)),
    ):
        made.told(AssignLead(**on(takers=takers)))
        for step in steps:
            said = {DeclineLead: {"reason_code": "no-fit"}, ReturnLead: {"reason_code": "no-fit"}}.get(step, {})
            made.told(
                step(**on(partner_id=PartnerId(who)), **said, **({"step": "meeting"} if step is ReportProgress else {}))
            )
    return made


def test_done_when_13_events_twice_or_in_another_order_give_equal_documents_of_leads() -> None:
    """Done when 13, for leads."""
    made = a_life()
    events = made.of(Leads.at("l-1"))
    turns = made.of(Rotations.at(identity("routing", NOW.date())))
    of_leads = told(*events)
    deadlines = [one for one in DEADLINES if one.name.startswith("lead_")]

    assert len(deadlines) == 4
    for projection in (LEADS, LEAD_FIGURES, *deadlines):
        assert_repeatable(projection, of_leads)
    assert_repeatable(LEAD_TAKERS, told(*turns, *events))


def test_a_life_as_each_side_reads_it() -> None:
    made = a_life()
    document = project(LEADS, told(*made.of(Leads.at("l-1"))))["l-1"]

    assert (document["status"], document["partner_id"], document["partner_ids"], document["round"]) == (
        "converted",
        "p-3",
        ["p-3"],
        3,
    )
    assert for_partner(document, ("p-1",)) is None
    assert for_partner(document, ("p-2",)) is None
    own = for_partner(document, ("p-3",)) or {}
    assert [step["event"] for step in own["history"]] == ["LeadAssigned", "LeadAccepted", "LeadConverted"]
    assert "p-1" not in str(own)


def test_turns_are_counted_by_partner() -> None:
    made = a_life()
    turns = made.of(Rotations.at(identity("routing", NOW.date())))
    found = project(LEAD_TAKERS, told(*turns, *made.of(Leads.at("l-1"))))

    assert {who: (row["offered"], row["accepted"], row["declined"]) for who, row in found.items()} == {
        "p-1": (1, 0, 1),
        "p-2": (1, 1, 0),
        "p-3": (1, 1, 0),
    }


def test_figures_count_what_came_of_leads() -> None:
    found = project(LEAD_FIGURES, told(*a_life().of(Leads.at("l-1"))))["all"]

    assert found == {
        "submitted": 1,
        "quarantined": 0,
        "released": 0,
        "duplicates": 0,
        "accepted": 2,
        "declined": 1,
        "lapsed": 0,
        "converted": 1,
    }


@pytest.mark.parametrize(("offered", "flag"), [((65, 35), False), ((66, 34), True)])
def test_a_partner_with_more_than_three_sigma_off_its_promised_share_is_flagged(
    offered: tuple[int, int], *, flag: bool
) -> None:
    """Of a hundred leads over two equal weights fifty are promised, and sigma is five."""
    rows = [
        {"partner_id": f"p-{n}", "open": True, "offered": count, "accepted": 0, "declined": 0, "converted": 0}
        for n, count in enumerate(offered)
    ]

    assert [one["flag"] for one in shares(rows, {"p-0": 3, "p-1": 3})] == [flag, flag]


def test_the_minutes_to_an_answer_are_told() -> None:
    made = town()
    made.told(submission("l-1"))
    fields = {"lead_id": "l-1", "rulebook": "routing", "by": "x"}
    made.told(AssignLead(**fields, now=NOW, takers=(Taker(partner_id=PartnerId("p-1")),)))
    [events] = made.told(AcceptLead(**fields, now=NOW + timedelta(minutes=90, seconds=59), partner_id=PartnerId("p-1")))

    assert [type(one) for one in events] == [LeadAccepted]
    assert events[0].minutes == 90
    [assigned] = [one for one in made.of(Leads.at("l-1")) if isinstance(one, LeadAssigned)]
    assert assigned.due_at == datetime(2026, 3, 2, 17, tzinfo=UTC)
    assert project(_deadline("lead_answers"), told(*made.of(Leads.at("l-1")))) == {}


def _deadline(name: str) -> Any:
    return next(one for one in DEADLINES if one.name == name)


def test_an_open_lead_is_due_at_once_and_a_held_one_never() -> None:
    made = town()
    made.told(submission("l-1"))
    made.told(submission("l-2", trapped=True))
    offers = _deadline("lead_offers")

    submitted = told(*made.of(Leads.at("l-1")))
    assert project(offers, submitted) == {
        "l-1": {"due_at": "2026-03-02T09:00:00Z", "lead_id": "l-1", "turn": submitted[-1].id}
    }
    assert project(offers, told(*made.of(Leads.at("l-2")))) == {}
    assert offers.evolve is lead_due.offers_due
