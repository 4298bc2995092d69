"""What the CRM shows becomes what we hold: wins, losses, refunds, reopening, echoes, and what has to wait."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from chassis.testing.kit import given
from contracts.values import money, total
from services.attribution.domain.credit import CreditAllocated
from services.attribution.domain.crm_change import CrmChange
from services.attribution.domain.crm_record import (
    CrmChangeObserved,
    CrmChangeQuarantined,
    CrmChangeReleased,
    CrmFieldsWritten,
    CrmRecordClaimed,
    CrmRecords,
)
from services.attribution.domain.mirroring import NotHeld, ObserveCrmChange, RecordCrmWrite, ReleaseCrmChange
from services.attribution.domain.opportunity import (
    CrmRecordKnown,
    DealLost,
    DealReopened,
    DealStageChanged,
    DealWon,
    Opportunities,
    RevenueReversed,
)
from tests.attribution.facts import (
    ANNE,
    CONN,
    DEAL,
    POOLS,
    RECORD,
    SALE,
    T0,
    at,
    change,
    connected,
    credit,
    handles,
    observing,
    opened,
    percents,
    record,
    sale,
    touch,
    touched,
)

OBSERVE, RELEASE, WRITE = handles(ObserveCrmChange), handles(ReleaseCrmChange), handles(RecordCrmWrite)
EUR = "EUR"


class Told:
    """A sale that is told one change after another, as the worker would tell them."""

    def __init__(self, *sale_events: object, stage_map: dict[str, str] | None = None) -> None:
        self.sale = list(sale_events) or [opened(), touched()]
        self.record: list = []
        self.credit: dict[str, list] = {pool: [] for pool in POOLS}
        self.stage_map = stage_map

    def tell(self, shown: CrmChange) -> tuple[list, list, list]:
        """The events that the change led to: of the sale, of the row, of the sourced pool."""
        history = [credit(pool, *events) for pool, events in self.credit.items()]
        case = given(OBSERVE, sale(*self.sale), record(*self.record), connected(self.stage_map), *history)
        sale_events, row_events, *pools = case.when(observing(shown)).verdict.events
        self.sale += sale_events
        self.record += row_events
        for pool, events in zip(POOLS, pools, strict=True):
            self.credit[pool] += events
        return sale_events, row_events, pools[0]

    @property
    def state(self):
        return Opportunities.fold(self.sale)

    def net(self) -> object:
        """All that was won minus all that was taken back."""
        won = total((e.amount for e in self.sale if isinstance(e, DealWon)), EUR)
        back = total((e.amount for e in self.sale if isinstance(e, RevenueReversed)), EUR)
        return won - back


def test_a_win_and_its_final_credit_are_one_decision() -> None:
    sale_events, row_events, sourced = Told().tell(change())
    known, won = sale_events
    assert known == CrmRecordKnown(
        opportunity_id=SALE, connection_id=CONN, external_id=DEAL, known_at=at(10) + (known.known_at - at(10))
    )
    assert (won.win_no, won.amount, won.closed_on, won.partner_ids) == (
        1,
        money("10000.00", EUR),
        date(2026, 3, 13),
        (ANNE,),
    )
    assert [type(e) for e in row_events] == [CrmRecordClaimed, CrmChangeObserved]
    assert percents(sourced) == [(ANNE, Decimal("100.00"))]
    assert (sourced[0].status, sourced[0].win_no, sourced[0].shares[0].from_month) == ("final", 1, "2026-03")


def test_the_crms_one_amount_is_split_over_the_registered_products() -> None:
    won = Told().tell(change())[0][1]
    assert [(line.product_family, line.amount.amount) for line in won.lines] == [
        ("cloud", Decimal("3333.34")),
        ("edge", Decimal("3333.33")),
        ("support", Decimal("3333.33")),
    ]


def test_our_own_echo_appends_nothing() -> None:
    told = Told()
    told.tell(change())
    assert told.tell(change()) == ([], [], [])
    assert told.tell(replace(change(), modified_at=at(12))) == ([], [], [])


def test_an_older_page_that_comes_again_appends_nothing() -> None:
    told = Told()
    told.tell(change())
    assert told.tell(change("contractsent", days=9)) == ([], [], [])


def test_a_stage_moves_and_moves_no_credit() -> None:
    sale_events, _, sourced = Told().tell(change("contractsent", "12000.00"))
    moved = sale_events[1]
    assert isinstance(moved, DealStageChanged)
    assert (moved.from_stage, moved.to_stage, moved.amount, moved.true_at) == (
        "prospect",
        "committed",
        money("12000.00", EUR),
        at(10),
    )
    assert sourced == []


def test_an_unmapped_stage_is_held_and_the_win_after_it_passes() -> None:
    told = Told()
    sale_events, row_events, _ = told.tell(change("legal_review", days=5))
    assert sale_events == []
    assert [(type(e), e.code) for e in row_events] == [(CrmChangeQuarantined, "stage-unmapped")]
    sale_events, row_events, _ = told.tell(change())
    assert isinstance(sale_events[-1], DealWon)
    assert [type(e) for e in row_events] == [CrmRecordClaimed, CrmChangeObserved]
    assert [held.code for held in CrmRecords.fold(told.record).held] == ["stage-unmapped"]


def releasing(told: Told, held: CrmChangeQuarantined) -> ReleaseCrmChange:
    wish = observing(held.change)
    return ReleaseCrmChange(
        opportunity_id=SALE,
        record_id=RECORD,
        connection_id=CONN,
        change_sha256=held.change_sha256,
        days=wish.days,
        pools=POOLS,
        policy_id=wish.policy_id,
        now=at(20),
    )


def test_a_held_stage_is_applied_once_it_is_mapped() -> None:
    told = Told()
    held = told.tell(change("legal_review", days=5))[1][0]
    case = given(RELEASE, sale(*told.sale), record(*told.record), connected({"legal_review": "committed"}))
    sale_events, row_events, *_ = case.when(releasing(told, held)).verdict.events
    assert (sale_events[-1].to_stage, sale_events[-1].true_at) == ("committed", at(5))
    assert [type(e) for e in row_events] == [CrmRecordClaimed, CrmChangeReleased, CrmChangeObserved]
    assert row_events[1].outcome == "applied"


def test_a_held_stage_that_something_later_passed_is_history() -> None:
    told = Told()
    held = told.tell(change("legal_review", days=5))[1][0]
    told.tell(change())
    case = given(RELEASE, sale(*told.sale), record(*told.record), connected({"legal_review": "committed"}))
    sale_events, row_events, *_ = case.when(releasing(told, held)).verdict.events
    assert sale_events == []
    assert [e.outcome for e in row_events] == ["history"]


def test_what_is_not_held_cannot_be_released() -> None:
    told = Told()
    held = told.tell(change("legal_review", days=5))[1][0]
    given(RELEASE, sale(*told.sale), connected()).when(releasing(told, held)).refused(NotHeld)


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        (change(amount=None), "amount-missing"),
        (change(amount="0"), "amount-missing"),
        (change(currency="EURO"), "currency-unknown"),
        (change(currency=None), "currency-unknown"),
        (change(amount="ten"), "malformed"),
        (change(amount="NaN"), "malformed"),
        (change(amount="-5"), "malformed"),
        (change(amount="10.001"), "malformed"),
        (change(amount="9" * 400), "malformed"),
        (change(refunded="20000.00"), "exceeds-remaining"),
    ],
)
def test_what_cannot_be_read_is_held_and_never_counted_as_zero(shown: CrmChange, code: str) -> None:
    told = Told()
    sale_events, row_events, sourced = told.tell(shown)
    assert (sale_events, sourced) == ([], [])
    assert [e.code for e in row_events] == [code]
    assert told.state.win is None


def test_the_next_readable_change_settles_what_was_held() -> None:
    told = Told()
    told.tell(change(amount=None))
    sale_events, row_events, _ = told.tell(change(days=11))
    assert isinstance(sale_events[-1], DealWon)
    assert [getattr(e, "outcome", None) for e in row_events if isinstance(e, CrmChangeReleased)] == ["superseded"]


def test_a_row_that_names_no_sale_of_ours_is_held() -> None:
    case = given(OBSERVE, connected())
    sale_events, row_events, *_ = case.when(observing(change())).verdict.events
    assert (sale_events, row_events[0].code) == ([], "malformed")


def test_a_second_row_cannot_claim_the_same_sale() -> None:
    told = Told()
    told.tell(change())
    other = observing(change(external_id="10000002", days=12))
    case = given(OBSERVE, sale(*told.sale), connected())
    _, row_events, *_ = case.when(replace(other, record_id="other-row")).verdict.events
    assert row_events[0].code == "claimed-elsewhere"


def test_a_refund_takes_back_exactly_that_by_line() -> None:
    told = Told()
    told.tell(change())
    (reversed_,), _, _ = told.tell(change(refunded="1000.00", days=11))
    assert (reversed_.amount, reversed_.remaining, reversed_.reason_code) == (
        money("1000.00", EUR),
        money("9000.00", EUR),
        "refund",
    )
    assert [line.amount.amount for line in reversed_.lines] == [Decimal("333.34"), Decimal("333.33"), Decimal("333.33")]


def test_refunds_are_a_running_total_and_each_part_counts_once() -> None:
    told = Told()
    told.tell(change())
    told.tell(change(refunded="1000.00", days=11))
    (second,), _, _ = told.tell(change(refunded="2500.00", days=12))
    assert second.amount == money("1500.00", EUR)
    assert told.net() == money("7500.00", EUR)


def test_refunds_never_exceed_the_win() -> None:
    told = Told()
    told.tell(change())
    told.tell(change(refunded="10000.00", days=11))
    assert told.net() == money("0.00", EUR)
    _, row_events, _ = told.tell(change(refunded="10000.01", days=12))
    assert row_events[0].code == "exceeds-remaining"
    assert told.net() == money("0.00", EUR)


def test_won_reopened_and_won_again_nets_to_one_win() -> None:
    told = Told()
    told.tell(change())
    back, reopened = told.tell(change("contractsent", days=11))[0]
    assert (type(back), back.reason_code, back.remaining) == (RevenueReversed, "reopened", money("0.00", EUR))
    assert (type(reopened), reopened.from_stage, reopened.to_stage) == (DealReopened, "won", "committed")
    sale_events, _, sourced = told.tell(change(days=12))
    assert (type(sale_events[-1]), sale_events[-1].win_no) == (DealWon, 2)
    assert (sourced[0].win_no, sourced[0].status, sourced[0].revision) == (2, "final", 2)
    assert told.net() == money("10000.00", EUR)


def test_a_corrected_amount_takes_the_old_win_back_and_wins_anew() -> None:
    told = Told()
    told.tell(change())
    sale_events = told.tell(change(amount="8000.00", days=11))[0]
    assert [type(e) for e in sale_events] == [RevenueReversed, DealWon]
    assert (sale_events[0].reason_code, sale_events[1].win_no) == ("corrected", 2)
    assert told.net() == money("8000.00", EUR)


def test_a_refund_taken_back_in_the_crm_nets_to_what_the_crm_says() -> None:
    told = Told()
    told.tell(change())
    told.tell(change(refunded="3000.00", days=11))
    told.tell(change(refunded="1000.00", days=12))
    assert told.net() == money("9000.00", EUR)


def test_a_lost_deal_says_why_and_can_still_be_won() -> None:
    told = Told()
    lost = told.tell(change("closedlost", lost_reason="Went with ACME, Inc."))[0][-1]
    assert (type(lost), lost.reason_code) == (DealLost, "went-with-acme-inc")
    sale_events = told.tell(change(days=12))[0]
    assert [type(e) for e in sale_events] == [DealReopened, DealWon]


def test_a_won_deal_that_turns_lost_is_taken_back() -> None:
    told = Told()
    told.tell(change())
    assert [type(e) for e in told.tell(change("closedlost", days=11))[0]] == [RevenueReversed, DealLost]
    assert told.net() == money("0.00", EUR)


def test_a_close_dated_ahead_counts_on_the_day_of_the_change() -> None:
    won = Told().tell(change(closed_on=date(2027, 1, 1)))[0][-1]
    assert (won.closed_on, won.dated_ahead) == (date(2026, 3, 13), True)


def test_touches_after_the_close_earn_nothing() -> None:
    told = Told(opened(), touched(touch("t1", days=12)))
    sale_events, _, sourced = told.tell(change(days=13, closed_on=date(2026, 3, 12)))
    assert isinstance(sale_events[-1], DealWon)
    assert sourced == []


def test_a_row_that_we_made_is_its_own_mirror() -> None:
    made = change("appointmentscheduled", days=0)
    wish = RecordCrmWrite(
        opportunity_id=SALE,
        record_id=RECORD,
        connection_id=CONN,
        external_id=DEAL,
        wish_sha256="a" * 64,
        shown=made,
        now=T0,
    )
    sale_events, row_events = given(WRITE, sale(opened())).when(wish).verdict.events
    assert [type(e) for e in sale_events] == [CrmRecordKnown]
    assert [type(e) for e in row_events] == [CrmRecordClaimed, CrmFieldsWritten]
    given(WRITE, sale(opened(), *sale_events), record(*row_events)).when(wish).then_nothing()
    echo = observing(replace(made, modified_at=at(1)))
    given(OBSERVE, sale(opened(), *sale_events), record(*row_events), connected()).when(echo).then_nothing()


STEPS = st.lists(
    st.builds(
        lambda stage, amount, refunded: (stage, f"{amount}.00", f"{min(refunded, amount)}.00"),
        st.sampled_from(["contractsent", "closedwon", "closedlost"]),
        st.integers(1, 50_000),
        st.integers(0, 50_000),
    ),
    max_size=12,
)


@for_all(steps=STEPS)
def test_whatever_the_crm_does_the_net_is_what_it_says_now(steps: list[tuple[str, str, str]]) -> None:
    told = Told()
    for day, (stage, amount, refunded) in enumerate(steps, start=1):
        told.tell(change(stage, amount, days=day, refunded=refunded))
    stage, amount, refunded = steps[-1] if steps else ("", "0.00", "0.00")
    expected = money(amount, EUR) - money(refunded, EUR) if stage == "closedwon" else money("0.00", EUR)
    assert told.net() == expected
    assert [e.win_no for e in told.sale if isinstance(e, DealWon)] == list(range(1, told.state.wins + 1))


@for_all(steps=STEPS)
def test_final_credit_follows_every_win_and_always_makes_a_hundred(steps: list[tuple[str, str, str]]) -> None:
    told = Told()
    for day, (stage, amount, refunded) in enumerate(steps, start=1):
        told.tell(change(stage, amount, days=day, refunded=refunded))
    revisions = [e for e in told.credit["sourced"] if isinstance(e, CreditAllocated)]
    assert [r.win_no for r in revisions] == list(range(1, told.state.wins + 1))
    assert all(sum(share.percent for share in r.shares) == Decimal("100.00") for r in revisions)
