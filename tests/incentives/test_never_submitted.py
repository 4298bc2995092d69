"""No one prepares and approves; what is over a limit, blocked or cooling down never leaves, whatever is tried."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.incentives.domain.payee_events import PayeeUnblocked
from services.incentives.domain.payment_events import PaymentApproved, PaymentSubmitted
from tests.incentives.orders import APPROVE, NOW, RESUME, RETRY, SUBMIT, said
from tests.incentives.test_paying import VERIFIED, RuledDesk, bank, batched, blocked_by_finance, incentives, ready
from tests.incentives.test_service import ADMIN, APPROVER, BOTH, FINANCE, OTHER_ADMIN, activated, proposed, started

__all__ = ["incentives"]
LIMITS = {"clerk": {"EUR": "99.99"}, "cfo": {"EUR": "100"}}
PEOPLE = {"fin-1": ("cfo",), "clerk-1": ("clerk",), "cfo-1": ("cfo",), "nobody-1": ()}
"""Whoever proposed the payment of 100.00 (fin-1) has the highest limit of all."""
COOL_DOWN = timedelta(hours=120)


class Office:
    """A desk with payment rules, and what was done to the payee, kept a second time by hand."""

    def __init__(self):
        self.desk = RuledDesk({"limits": LIMITS})
        self.desk.after(self.desk.proposed)
        self.now, self.changed_at, self.verified, self.blocked, self.approver = NOW, None, True, False, None
        self.submitted = 0

    def do(self, step, what):
        getattr(self, step)(what)

    def time(self, hours):
        self.now += timedelta(hours=hours)

    def enter(self, _):
        self.desk.payee.append(bank(self.now))
        self.changed_at, self.verified = self.now, False

    def verify(self, _):
        if self.changed_at is not None:
            self.desk.payee.append(replace(VERIFIED, verified_at=self.now))
            self.verified = True

    def block(self, _):
        self.desk.payee.append(blocked_by_finance())
        self.blocked = True

    def unblock(self, _):
        if self.blocked:
            self.desk.payee.append(
                PayeeUnblocked(payee_id="p1", partner_id="p1", confirmed_by="y", unblocked_at=self.now)
            )
            self.blocked = False

    def approve(self, who):
        made = self.ask(replace(APPROVE, by=who, roles=PEOPLE[who]))
        if any(isinstance(one, PaymentApproved) for one in made):
            self.approver = who

    def submit(self, who):
        for one in self.ask(replace(SUBMIT, by=who)):
            if isinstance(one, PaymentSubmitted):
                self.judge()
                self.submitted += 1

    def resume(self, _):
        self.ask(RESUME)

    def retry(self, _):
        self.ask(RETRY)

    def report(self, outcome):
        attempts = sum(isinstance(one, PaymentSubmitted) for one in self.desk.payment)
        if attempts:
            self.ask(said(outcome, attempt=attempts, provider_event_id=f"pe-{len(self.desk.payment)}"))

    def ask(self, wish):
        verdict = self.desk.asks(replace(wish, now=self.now)).verdict
        return verdict.events[0] if verdict.refusal is None else []

    def judge(self):
        """What is handed over was agreed to by somebody else, who may, for a payee whom nothing stands against."""
        assert self.approver == "cfo-1"
        assert not self.blocked
        assert self.verified
        assert self.changed_at is None or self.now - self.changed_at >= COOL_DOWN


PERSON = st.sampled_from(sorted(PEOPLE))
STEPS = st.one_of(
    st.tuples(st.just("time"), st.sampled_from([1, 119, 120])),
    st.tuples(st.sampled_from(["enter", "verify", "block", "unblock", "resume", "retry"]), st.none()),
    st.tuples(st.just("report"), st.sampled_from(["rejected", "unknown", "paid", "returned"])),
    st.tuples(st.sampled_from(["approve", "submit"]), PERSON),
    st.just(("approve", "cfo-1")),
)


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=25))
def test_done_when_5_no_one_prepares_and_approves_and_over_limit_blocked_and_cooling_payments_are_never_submitted(
    steps,
):
    after(steps)


def after(steps):
    """How often the payment was handed over, each time judged."""
    office = Office()
    for step, what in steps:
        office.do(step, what)
    return office.submitted


def test_cooled_down_verified_and_approved_by_another_it_is_submitted_and_again_once_it_failed():
    cooled = [("enter", None), ("verify", None), ("time", 120), ("approve", "cfo-1"), ("submit", "fin-1")]
    assert after(cooled) == 1
    assert after([*cooled, ("report", "rejected"), ("retry", None), ("submit", "fin-1")]) == 2


async def ruled(asked):
    draft = {"rulebook_id": "pay", "kind": "payment", "body": {"limits": {"cfo": {"EUR": "100"}}}, "examples": []}
    assert (await asked.post(ADMIN, "/rulebooks", draft)).status_code == 201
    assert (await asked.post(OTHER_ADMIN, "/rulebooks/pay/publish", {"version": 1})).status_code == 200


async def in_a_batch(asked, payment):
    body = {"currency": "EUR", "day": "2026-06-03", "payment_ids": [payment.removeprefix("/payments/")]}
    return f"/batches/{(await asked.post(FINANCE, '/batches', body)).json()['batch_id']}"


async def refused(asked, *tries):
    """The slugs with which each of these is refused, by whoever tries it."""
    return [(await asked.post(who, path)).json().get("slug") for who, path in tries]


async def test_done_when_5_an_over_limit_payment_reaches_no_provider_alone_or_in_a_batch(incentives):
    await ruled(incentives)
    payment = await proposed(incentives)
    batch = await in_a_batch(incentives, payment)
    tries = [(who, f"{of}/approve") for of in (payment, batch) for who in (APPROVER, BOTH)]
    assert await refused(incentives, *tries) == ["over-limit", "four-eyes"] * 2
    assert await refused(incentives, (FINANCE, f"{payment}/submit"), (FINANCE, f"{batch}/send")) == ["wrong-state"] * 2
    assert incentives.service.application.ports.transfers() == []


async def test_done_when_5_a_cooling_payment_reaches_no_provider_alone_or_in_a_batch(incentives):
    await incentives.hear(activated())
    payment = await proposed(incentives)
    batch = await in_a_batch(incentives, payment)
    await ready(incentives)
    assert (await incentives.post(APPROVER, f"{batch}/approve")).json()["state"] == "approved"
    assert (await incentives.get(FINANCE, payment))["gates"] == ["bank_cool_down"]
    assert (await incentives.post(FINANCE, f"{batch}/send")).json()["state"] == "sent"
    assert await refused(incentives, (FINANCE, f"{payment}/submit"), (FINANCE, f"{payment}/resume")) == [
        "wrong-state",
        "gate-unmet",
    ]
    assert incentives.service.application.ports.transfers() == []


async def test_done_when_5_a_payment_that_is_blocked_after_its_approval_reaches_no_provider_in_a_batch(tmp_path):
    async with started(tmp_path) as asked:
        payment, batch = await batched(asked)
        assert (await asked.post(FINANCE, "/payees/p1/block", {"reason": "fraud"})).status_code == 200
        assert (await asked.post(FINANCE, f"{batch}/send")).json()["state"] == "sent"
        assert (await asked.get(FINANCE, payment))["gates"] == ["blocked"]
        assert await refused(asked, (FINANCE, f"{payment}/submit"), (FINANCE, f"{payment}/resume")) == [
            "wrong-state",
            "gate-unmet",
        ]
        assert asked.service.application.ports.transfers() == []
