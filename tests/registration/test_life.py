"""Random lives: whatever is asked of many deals in whatever order, two rivals never hold the same."""

import contextlib
from datetime import timedelta
from itertools import combinations
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chassis.decider import Problem
from contracts.values import OpportunityId
from services.registration.domain.claim import HELD
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.deal import Deals, Status
from services.registration.domain.deal_commands import (
    CloseDeal,
    EndProtection,
    PromoteDeal,
    QueueDeal,
    RejectDeal,
    RequestExtension,
    ResubmitDeal,
    ReturnDeal,
    WithdrawDeal,
)
from tests.registration.deals import CONTOSO, NOW, SEALED, Town, approval, details, product

PARTNERS = ("p-1", "p-2", "p-3")
DEALS = st.integers(0, 7).map(lambda n: f"d-{n}")
PRODUCTS = st.sampled_from([(product("1"),), (product("2"),), (product("1"), product("2")), (product(None),)])
NEXT = {
    Status.NONE: {Status.IN_REVIEW, Status.WAITING, Status.REJECTED, Status.APPROVED},
    Status.IN_REVIEW: {
        Status.ACTION_REQUIRED,
        Status.APPROVED,
        Status.WAITING,
        Status.REJECTED,
        Status.WITHDRAWN,
    },
    Status.ACTION_REQUIRED: {Status.IN_REVIEW, Status.WAITING, Status.REJECTED, Status.APPROVED, Status.WITHDRAWN},
    Status.WAITING: {Status.IN_REVIEW, Status.REJECTED, Status.WITHDRAWN},
    Status.APPROVED: {Status.EXPIRED, Status.CLOSED, Status.WITHDRAWN},
    Status.EXPIRED: {Status.CLOSED},
    Status.REJECTED: set(),
    Status.CLOSED: set(),
    Status.WITHDRAWN: set(),
}


class Lives(RuleBasedStateMachine):
    @initialize(priority=st.sampled_from(["first_to_register", "first_to_approve"]), on=st.booleans())
    def open(self, priority: str, on: bool) -> None:
        limits = [{"amount": "10000.00", "currency": "EUR"}]
        self.town = Town(*PARTNERS, priority=priority, queue_max=3, auto_approval={"on": on, "limits": limits})
        self.now = NOW

    def ask(self, command: Any) -> None:
        before = {deal: self.status(deal) for deal in self.deals()}
        try:
            self.town.run(command)
        except Problem:
            assert {deal: self.status(deal) for deal in self.deals()} == before
        for deal in self.deals():
            after = self.status(deal)
            assert after == before[deal] or after in NEXT[before[deal]], f"{before[deal]} became {after}"

    def deals(self) -> list[str]:
        return [identity for kind, identity in self.town.events if kind == "deal"]

    def status(self, deal: str) -> Status:
        return self.town.state(Deals.at(deal)).status

    def fields(self, deal: str) -> dict[str, Any]:
        return {"registration_id": deal, "accounts": (CONTOSO,), "now": self.now}

    def around(self, deal: str) -> dict[str, Any]:
        registered = self.town.state(Deals.at(deal)).registered
        partner = registered.partner_id if registered else "p-1"
        return {**self.fields(deal), "programme": "default", "partner_id": partner, "screening_id": f"s-{self.now}"}

    @rule(deal=DEALS, partner=st.sampled_from(PARTNERS), products=PRODUCTS, role=st.sampled_from(["resell", "service"]))
    def register(self, deal: str, partner: str, products: Any, role: str) -> None:
        close_on = self.now.date() + timedelta(days=30)
        with contextlib.suppress(Problem):
            self.town.register(
                deal, partner, products=products, role=role, now=self.now, details=details(close_on=close_on)
            )

    @rule(deal=DEALS)
    def approve(self, deal: str) -> None:
        self.ask(approval(deal, **{k: v for k, v in self.around(deal).items() if k in ("partner_id", "now")}))

    @rule(deal=DEALS)
    def return_it(self, deal: str) -> None:
        self.ask(ReturnDeal(**self.fields(deal), fields=("close_on",), message=SEALED, by="desk"))

    @rule(deal=DEALS)
    def resubmit(self, deal: str) -> None:
        close_on = self.now.date() + timedelta(days=60)
        self.ask(ResubmitDeal(**self.around(deal), details=details(close_on=close_on), by="seller"))

    @rule(deal=DEALS)
    def reject(self, deal: str) -> None:
        self.ask(RejectDeal(**self.fields(deal), reason_code="other", message=SEALED, by="desk"))

    @rule(deal=DEALS)
    def withdraw(self, deal: str) -> None:
        self.ask(WithdrawDeal(**self.fields(deal), reason_code="withdrawn", by="seller"))

    @rule(deal=DEALS, result=st.sampled_from(["won", "lost"]))
    def close(self, deal: str, result: str) -> None:
        opportunity = OpportunityId("o")
        self.ask(CloseDeal(**self.fields(deal), result=result, opportunity_id=opportunity, source_event_id="e"))

    @rule(deal=DEALS)
    def promote(self, deal: str) -> None:
        self.ask(PromoteDeal(**self.around(deal)))

    @rule(deal=DEALS)
    def queue(self, deal: str) -> None:
        self.ask(QueueDeal(**self.around(deal)))

    @rule(deal=DEALS)
    def end(self, deal: str) -> None:
        self.ask(EndProtection(**self.fields(deal)))

    @rule(deal=DEALS)
    def ask_for_more_time(self, deal: str) -> None:
        self.ask(RequestExtension(**self.fields(deal), evidence=(), by="seller"))

    @rule(days=st.integers(1, 60))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days)

    @invariant()
    def two_rivals_never_hold_the_same(self) -> None:
        if hasattr(self, "town"):
            holding = [c for c in self.town.state(ClaimsOf.at(CONTOSO)).live if c.holds(self.now)]
            assert not [(a, b) for a, b in combinations(holding, 2) if a.rivals(b)]

    @invariant()
    def claims_and_deals_say_the_same(self) -> None:
        if hasattr(self, "town"):
            live = {c.registration_id: c.state for c in self.town.state(ClaimsOf.at(CONTOSO)).live}
            expected = {
                Status.IN_REVIEW: "pending",
                Status.ACTION_REQUIRED: "pending",
                Status.WAITING: "waiting",
                Status.APPROVED: HELD,
            }
            assert {deal: expected[s] for deal in self.deals() if (s := self.status(deal)) in expected} == live


Lives.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLives = Lives.TestCase
