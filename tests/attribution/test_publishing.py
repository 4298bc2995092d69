"""What leaves attribution, and what of it each partner may read."""

from dataclasses import replace
from decimal import Decimal

from chassis.testing.kit import given
from chassis.testing.projections import told
from contracts import attribution as public
from contracts.values import Money
from services.attribution.domain.explaining import disclose, explain_credit, explain_reversal, explain_win
from services.attribution.domain.touch import CLAIMED, RecordTouch
from services.attribution.publishing import publish
from tests.attribution.facts import ANNE, BEN, REG, SALE, T0, handles, touch_wish
from tests.attribution.test_projections import story


def heard() -> list[object]:
    return [fact for fact in (publish(seen) for seen in told(*story())) if fact is not None]


def test_a_sale_is_told_in_public_words_and_order() -> None:
    assert [type(fact) for fact in heard()] == [
        public.OpportunityLinked,
        public.TouchRecorded,
        public.TouchRecorded,
        public.CreditAllocated,
        public.CreditAllocated,
        public.DealWon,
        public.CreditAllocated,
        public.CreditAllocated,
        public.RevenueReversed,
    ]


def test_a_partner_hears_its_own_part_only() -> None:
    for fact in heard():
        mine = fact.for_partner(BEN)
        assert mine is None or ANNE not in str(mine), mine
    won = next(fact for fact in heard() if isinstance(fact, public.DealWon))
    assert won.for_partner("partner-zoe") is None
    assert sum(line.amount.amount for line in won.lines) == Decimal("10000.00")


def test_who_takes_part_in_another_partners_deal_hears_it_move_without_its_amount() -> None:
    moved = public.DealStageChanged(
        opportunity_id=SALE,
        registration_id=REG,
        partner_ids=(ANNE, BEN),
        from_stage="prospect",
        to_stage="qualified",
        true_at=T0,
        amount=Money(amount=Decimal("12500.00"), currency="EUR"),
    )
    assert moved.for_partner(ANNE) == replace(moved, partner_ids=(ANNE,))
    assert moved.for_partner(BEN) == replace(moved, partner_ids=(BEN,), amount=None)
    assert replace(moved, registration_id=None).for_partner(BEN) == replace(
        moved, registration_id=None, partner_ids=(BEN,)
    )


def test_a_partners_own_claim_stays_private() -> None:
    wish = replace(touch_wish(), status=CLAIMED)
    recorded = given(handles(RecordTouch)).when(wish).verdict.events[1]
    assert publish(told(*recorded)[0]) is None


def test_every_percent_and_every_win_can_be_explained() -> None:
    seen = {type(one.event).__name__: one for one in told(*story())}
    credit = explain_credit(seen["CreditAllocated"])
    assert credit.outcome == "final revision 1"
    assert [(i.value["code"], i.value["weight"]) for i in credit.inputs] == [("used", "1.000000")]
    assert credit.detail["policy"]["version"] == 0
    assert explain_win(seen["DealWon"]).reasons[0].code == "crm-says-won"
    assert explain_reversal(seen["RevenueReversed"]).reasons[0].code == "refund"


def test_a_partner_reads_how_many_touches_counted_and_none_of_another() -> None:
    seen = [one for one in told(*story()) if type(one.event).__name__ == "CreditAllocated"]
    shown = disclose(explain_credit(seen[0]))
    assert (ANNE in str(shown), BEN in str(shown), SALE in str(shown)) == (False, False, False)
    assert shown.inputs[0].value == 1
