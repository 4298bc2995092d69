"""Units sold at a special price: cost less price, for a product, day and deal of the agreement, each unit once."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from contracts.values import money
from services.incentives.domain.claim import ClaimItem, ClaimReturned, ClaimTax, DecideSpecialPriceClaim, DraftClaim
from services.incentives.domain.evidence import EvidenceWithdrawn
from services.incentives.domain.special_price import (
    EndSpecialPrice,
    GrantSpecialPrice,
    PricedProduct,
    SoldRow,
    SpecialPriceInvalid,
    SpecialPrices,
)
from tests.incentives.fund_facts import NOW, PARTNER, Log, eur, payable


def grant(units_max: int = 100, **changes: Any) -> GrantSpecialPrice:
    product = PricedProduct(sku="SW-1", cost=eur("100.00"), price=eur("80.00"), units_max=units_max)
    fields: dict[str, Any] = {
        "special_price_id": "s1",
        "partner_id": PARTNER,
        "kind": "bid",
        "registration_id": "d1",
        "products": (product,),
        "starts_on": date(2026, 3, 1),
        "ends_on": date(2026, 6, 30),
        "reason": "to win against Contoso",
        "by": "fm",
        "now": NOW,
    }
    return GrantSpecialPrice(**{**fields, **changes})


def row(quantity: int = 10, invoice: str = "inv-1", **changes: Any) -> SoldRow:
    fields: dict[str, Any] = {"sku": "SW-1", "sold_on": date(2026, 3, 10), "registration_id": "d1"}
    return SoldRow(**{**fields, "quantity": quantity, "invoice": invoice, **changes})


def claim(*rows: tuple[SoldRow, str], identity: str = "c1", tax: ClaimTax | None = None) -> DraftClaim:
    return DraftClaim(
        claim_id=identity,
        kind="special_price",
        partner_id=PARTNER,
        of_id="s1",
        items=tuple(ClaimItem(text="sold", amount=eur(amount), sold=one) for one, amount in rows),
        tax=tax,
        by="per",
        now=NOW,
    )


def verdict(identity: str = "c1", outcome: str = "approved", reason: str = "") -> DecideSpecialPriceClaim:
    return DecideSpecialPriceClaim(
        claim_id=identity, special_price_id="s1", outcome=outcome, reason=reason, by="fm", now=NOW
    )


def submitted(log: Log, *rows: tuple[SoldRow, str], identity: str = "c1", tax: ClaimTax | None = None) -> Log:
    log.tell(claim(*rows, identity=identity, tax=tax))
    return log.tell(log.submit_claim(identity))


def test_ten_units_at_cost_100_and_price_80_are_paid_200():
    log = submitted(Log().tell(grant()), (row(10), "200.00")).tell(verdict())
    assert payable(log) == Decimal("200.00")
    assert log.state(SpecialPrices.at("s1")).used == {"SW-1": 10}


def test_what_comes_to_more_than_money_can_hold_is_not_approved():
    dear = PricedProduct(sku="SW-1", cost=eur("900000000000000.00"), price=eur("0.00"), units_max=100)
    log = submitted(Log().tell(grant(products=(dear,))), (row(2), "1.00"))
    assert log.refused(verdict()) == "special-price-invalid"


def test_claimed_otherwise_than_calculated_is_disputed_and_then_pays_the_smaller():
    log = submitted(Log().tell(grant()), (row(10), "250.00")).tell(verdict())
    assert (log.claim().stage, payable(log)) == ("disputed", Decimal(0))
    log.tell(verdict(reason="the calculation stands"))
    assert (log.claim().stage, payable(log)) == ("approved", Decimal("200.00"))


def test_less_is_claimed_than_calculated_and_less_is_paid():
    log = submitted(Log().tell(grant()), (row(10), "150.00")).tell(verdict(), verdict(reason="as claimed"))
    assert payable(log) == Decimal("150.00")


def test_a_claim_in_another_currency_than_the_agreement_is_returned_not_paid():
    other = claim((row(10), "200.00"))
    dollars = tuple(replace(item, amount=money("200.00", "USD")) for item in other.items)
    log = Log().tell(grant(), replace(other, items=dollars))
    log.tell(log.submit_claim())
    assert log.refused(verdict()) == "claim-invalid"
    assert log.tell(verdict(outcome="returned", reason="in euros, please")).claim().stage == "returned"


def test_the_partner_is_asked_for_a_claim_that_was_returned_and_was_not_by_the_evaluator_before():
    for evaluator, asked in ((None, [ClaimReturned]), (2, [])):
        log = Log().tell(grant())
        log = log.as_then(DecideSpecialPriceClaim=evaluator) if evaluator else log
        submitted(log, (row(10), "250.00")).tell(verdict(outcome="returned", reason="which units?"))
        assert [type(one) for one in log.happened if isinstance(one, ClaimReturned)] == asked


def test_tax_is_payable_on_what_is_approved():
    tax, reason = ClaimTax(country="DE", amount=eur("47.50")), "the calculation stands"
    log = submitted(Log().tell(grant()), (row(10), "250.00"), tax=tax).tell(verdict(), verdict(reason=reason))
    assert payable(log) == Decimal("238.00"), "200.00 and 38.00 of tax"


def test_the_first_evaluator_paid_all_of_the_tax():
    tax, log = ClaimTax(country="DE", amount=eur("47.50")), Log().tell(grant()).as_then(DecideSpecialPriceClaim=1)
    submitted(log, (row(10), "250.00"), tax=tax).tell(verdict(), verdict(reason="the calculation stands"))
    assert payable(log) == Decimal("247.50")


def test_a_row_that_was_counted_in_another_claim_does_not_count_again():
    log = submitted(Log().tell(grant()), (row(10), "200.00")).tell(verdict())
    submitted(log, (row(10), "200.00"), (row(1, "inv-2"), "20.00"), identity="c2")
    log.tell(verdict("c2"), verdict("c2", reason="inv-1 was paid"))
    assert payable(log) == Decimal("220.00")


UNIT = {"serial": "X-1"}
ON_INVOICE: dict[str, str] = {}


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (UNIT, {"serial": " x-1 "}),
        (ON_INVOICE, {"invoice": "INV-1"}),
        (UNIT, ON_INVOICE),
        (ON_INVOICE, UNIT),
    ],
    ids=["serial-in-other-letters", "invoice-in-other-letters", "unit-then-its-invoice", "invoice-then-a-unit-of-it"],
)
def test_a_unit_counts_once_however_it_is_written(first, again):
    def rows(**words):
        return row(**{"quantity": 1, **words}), "20.00"

    log = submitted(Log().tell(grant()), rows(**first)).tell(verdict())
    submitted(log, rows(**again), identity="c2").tell(verdict("c2"))
    assert (log.happened[-1].outcome, payable(log)) == ("disputed", Decimal("20.00"))
    both = submitted(Log().tell(grant()), rows(**first), rows(**again)).tell(verdict())
    assert both.happened[-1].eligible == eur("20.00"), "in one claim as in two"
    then = {"SubmitClaim": 1, "DecideSpecialPriceClaim": 3}
    before = submitted(Log().tell(grant()).as_then(**then), rows(**first)).tell(verdict())
    submitted(before, rows(**again), identity="c2").tell(verdict("c2"))
    assert payable(before) == Decimal("40.00"), "as it was decided before"


def test_two_units_of_one_invoice_in_two_claims_both_count():
    log = submitted(Log().tell(grant()), (row(1, serial="X-1"), "20.00")).tell(verdict())
    submitted(log, (row(1, serial="X-2"), "20.00"), identity="c2").tell(verdict("c2"))
    assert payable(log) == Decimal("40.00")
    assert log.claim("c2").reused == ()


def test_a_row_of_a_returned_claim_still_counts_where_it_was_shown_first():
    log = submitted(Log().tell(grant()), (row(10), "200.00")).tell(verdict(outcome="returned", reason="which deal?"))
    submitted(log, (row(10), "200.00"), identity="c2").tell(verdict("c2"))
    submitted(log, (row(10), "200.00")).tell(verdict())
    assert [log.claim(one).stage for one in ("c1", "c2")] == ["approved", "disputed"]
    assert payable(log) == Decimal("200.00")


def returned_without(*rows, **then):
    """A claim of two invoices that was returned and is sent in again with other rows."""
    log = submitted(Log().tell(grant()).as_then(**then), (row(10), "200.00"), (row(10, "inv-2"), "200.00"))
    log.tell(verdict(outcome="returned", reason="inv-2 is not of this deal"))
    return submitted(log, *rows).tell(verdict())


def test_a_row_that_was_dropped_from_a_returned_claim_counts_for_whoever_shows_it_next():
    log = returned_without((row(10), "200.00"))
    names = (*row(10, "inv-2").names, *row(10, "inv-2").part_of)
    withdrawn = [one for one in log.happened if isinstance(one, EvidenceWithdrawn)]
    whose = {"claim_id": "c1", "partner_id": PARTNER, "in_part": False, "withdrawn_at": NOW}
    assert withdrawn == [EvidenceWithdrawn(evidence_id=name, **whose) for name in names]
    submitted(log, (row(10, "inv-2"), "200.00"), identity="c2").tell(verdict("c2"))
    assert (log.claim("c2").reused, log.claim("c2").stage, payable(log)) == ((), "approved", Decimal("400.00"))


def test_a_row_that_was_dropped_and_is_shown_again_comes_after_who_showed_it_meanwhile():
    log = returned_without((row(10), "200.00"))
    submitted(log, (row(10, "inv-2"), "200.00"), identity="c2").tell(verdict("c2"))
    submitted(log, (row(10, "inv-2"), "200.00"), identity="c3").tell(verdict("c3"))
    assert {name for one in log.claim("c3").reused for name in one.claim_ids} == {"c2"}
    assert payable(log) == Decimal("400.00")


def test_until_it_is_sent_in_again_a_returned_claim_shows_what_it_showed():
    log = submitted(Log().tell(grant()), (row(10), "200.00")).tell(verdict(outcome="returned", reason="which deal?"))
    log.tell(claim((row(10, "inv-2"), "200.00")))
    submitted(log, (row(10), "200.00"), identity="c2")
    assert {name for one in log.claim("c2").reused for name in one.claim_ids} == {"c1"}
    log.tell(log.submit_claim())
    log.tell(verdict("c2", outcome="returned", reason="the other claim is without it now"), log.submit_claim("c2"))
    assert log.claim("c2").reused == ()


def test_as_the_second_evaluator_decided_a_dropped_row_stayed_where_it_was_shown_first():
    log = returned_without((row(10), "200.00"), SubmitClaim=2)
    submitted(log, (row(10, "inv-2"), "200.00"), identity="c2").tell(verdict("c2"))
    assert (log.claim("c2").stage, payable(log)) == ("disputed", Decimal("200.00"))


def test_who_showed_a_whole_invoice_and_now_one_unit_of_it_leaves_the_others_of_it_to_others():
    unit, other = (row(1, serial="X-1"), "20.00"), (row(1, serial="X-2"), "20.00")
    log = submitted(Log().tell(grant()), (row(10), "200.00"))
    log.tell(verdict(outcome="returned", reason="name the units"))
    submitted(log, unit).tell(verdict())
    submitted(log, other, identity="c2").tell(verdict("c2"))
    assert {one.in_part for one in log.happened if isinstance(one, EvidenceWithdrawn)} == {True}
    assert (log.claim("c2").reused, payable(log)) == ((), Decimal("40.00"))


def test_what_is_not_sold_yet_does_not_count():
    log = submitted(Log().tell(grant()), (row(sold_on=date(2026, 3, 18)), "200.00")).tell(verdict())
    assert log.happened[-1].steps[0] == "row 1: 10 SW-1 do not count: it is not sold yet"
    before = submitted(Log().tell(grant()), (row(sold_on=date(2026, 3, 18)), "200.00"))
    assert payable(before.as_then(DecideSpecialPriceClaim=3).tell(verdict())) == Decimal("200.00")


def test_the_same_serial_twice_in_one_claim_counts_once():
    rows = [(row(1, invoice, serial="X-1"), "20.00") for invoice in ("inv-1", "inv-2")]
    log = submitted(Log().tell(grant()), *rows).tell(verdict())
    assert log.happened[-1].eligible == eur("20.00")


def test_a_serial_number_is_that_of_one_unit():
    several = claim((row(2, serial="X-1"), "40.00"))
    assert Log().tell(grant()).refused(several) == "claim-invalid"
    assert Log().tell(grant()).as_then(DraftClaim=2).refused(several) == "", "as the second evaluator decided"


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"sku": "SW-2"}, "it is not in the agreement"),
        ({"sold_on": date(2026, 7, 1)}, "it was not sold from 2026-03-01 to 2026-06-30"),
        ({"registration_id": "d2"}, "it was sold for another deal"),
    ],
)
def test_what_does_not_match_the_agreement_does_not_count_and_says_why(other, why):
    log = submitted(Log().tell(grant()), (row(10, **other), "200.00")).tell(verdict())
    assert log.happened[-1].eligible == eur("0.00")
    assert why in log.happened[-1].steps[0]


def test_units_beyond_those_agreed_do_not_count():
    log = submitted(Log().tell(grant(units_max=15)), (row(10), "200.00"), (row(10, "inv-2"), "100.00"))
    log.tell(verdict())
    assert payable(log) == Decimal("300.00")
    submitted(log, (row(1, "inv-3"), "20.00"), identity="c2").tell(verdict("c2"))
    assert log.happened[-1].eligible == eur("0.00")


def test_a_blanket_price_holds_for_every_deal():
    blanket = grant(kind="blanket", registration_id=None)
    log = submitted(Log().tell(blanket), (row(2, registration_id="d9"), "40.00")).tell(verdict())
    assert payable(log) == Decimal("40.00")


def test_a_bid_for_a_customer_without_a_deal_counts_what_was_sold_to_that_customer():
    bid = grant(registration_id=None, customer_domain="contoso.de")
    rows = [
        (row(2, registration_id=None, customer_domain="contoso.de"), "40.00"),
        (row(1, "inv-2", registration_id=None, customer_domain="fabrikam.de"), "20.00"),
        (row(1, "inv-3", registration_id=None), "20.00"),
    ]
    log = submitted(Log().tell(bid), *rows).tell(verdict())
    assert log.happened[-1].eligible == eur("40.00")
    assert log.happened[-1].steps[1:3] == (
        "row 2: 1 SW-1 do not count: it was sold to another customer",
        "row 3: 1 SW-1 do not count: it was sold to another customer",
    )


def early(on: date, now: datetime = NOW) -> EndSpecialPrice:
    return EndSpecialPrice(special_price_id="s1", on=on, reason="won", by="fm", now=now)


def test_what_was_sold_after_an_early_end_does_not_count():
    ninth = datetime(2026, 3, 9, 12, tzinfo=UTC)
    log = submitted(Log().tell(grant(), early(date(2026, 3, 9), ninth)), (row(), "200.00")).tell(verdict())
    assert log.happened[-1].eligible == eur("0.00")


def test_what_was_sold_before_counts_so_it_ends_today_at_the_earliest_and_did_earlier_by_the_evaluator_before():
    log = Log().tell(grant())
    assert log.refused(early(date(2026, 3, 14))) == "special-price-invalid"
    assert log.refused(early(date(2026, 3, 15))) == "", "it is still that day elsewhere"
    log = Log().tell(grant(), early(NOW.date()))
    submitted(log, (row(sold_on=NOW.date()), "200.00")).tell(verdict())
    assert payable(log) == Decimal("200.00"), "its last day is a day of it"
    assert Log().tell(grant()).as_then(EndSpecialPrice=1).refused(early(date(2026, 3, 9))) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"products": ()},
        {"products": (PricedProduct(sku="A", cost=eur("1.00"), price=eur("1.00"), units_max=1),)},
        {"starts_on": date(2026, 7, 1)},
        {"registration_id": None},
        {"kind": "blanket"},
        {"customer_domain": "contoso.de"},
        {"registration_id": None, "customer_domain": "contoso.de", "kind": "blanket"},
    ],
)
def test_a_price_that_is_no_special_one_is_not_agreed(changes):
    assert Log().refused(grant(**changes)) == SpecialPriceInvalid.slug


def test_a_denied_claim_takes_no_units():
    log = submitted(Log().tell(grant()), (row(), "200.00")).tell(verdict(outcome="denied", reason="no such order"))
    assert log.state(SpecialPrices.at("s1")).used == {}


def test_another_partners_agreement_cannot_be_claimed():
    log = Log().tell(grant(partner_id="p2"))
    submitted(log, (row(), "200.00"))
    assert log.refused(verdict()) == "not-found"
