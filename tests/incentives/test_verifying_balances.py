"""What is drawn of a balance, given up, lost or moved stands in the books for its part of all that stood there."""

import hashlib
import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from services.incentives.domain.verifying import as_recorded, verify
from services.incentives.domain.verifying_balances import in_balance
from tests.incentives.facts import plan
from tests.incentives.test_books import opened, paid, recorded
from tests.incentives.test_merging import merged, payable, unmerged
from tests.incentives.test_service import APPROVER, FINANCE, P1, P2, activated, credited, started, won

KINDS = {
    "approved": "incentives.PaymentApproved.v1",
    "blocked": "incentives.PaymentBlocked.v1",
    "declined": "incentives.PaymentDeclined.v1",
    "taxed": "incentives.InvoiceTaxed.v1",
    "written_off": "incentives.NegativeWrittenOff.v1",
    "forfeited": "incentives.BalanceForfeited.v1",
    "moved": "incentives.BalanceTransferred.v1",
    "settled": "incentives.RebateSettled.v1",
}


def entry(account, amount, books, of=None):
    worth = None if books is None else {"amount": books, "currency": "USD"}
    return {"account": account, "of": of, "amount": {"amount": amount, "currency": "EUR"}, "books_amount": worth}


def event(kind, *entries, **said):
    return {"type": KINDS[kind], "data": {"payee_id": "p1", **said, "journal": {"entries": list(entries)}}}


def side(name, amount, books):
    return {
        "side": name,
        "amount": {"amount": amount, "currency": "EUR"},
        "books": {"amount": books, "currency": "USD"},
    }


def stated(opening, closing, *events):
    """A statement over these events, which stand at 11, 12 and so on of the log."""
    told = [{**one, "id": f"e{place}", "position": place, "version": 1} for place, one in enumerate(events, 11)]
    total = sum(Decimal(one["amount"]["amount"]) for one in opening)
    statement = {
        "payee_id": "p1",
        "opening": {"amount": str(total), "currency": "EUR"},
        "lines": [{"event_id": one["id"]} for one in told],
        "from_position": 10,
        "to_position": 10 + len(told),
        "opening_worth": opening,
        "closing_worth": closing,
    }
    return statement, told


EARNED, FUND = side("payable", "100.00", "110.01"), side("payable:fund", "40.00", "45.00")
A_THIRD = (entry("payable", "33.33", "36.67"), entry("in_payment", "-25.00", "-27.51"))
TAX_KEPT = entry("withheld", "-8.33", "-9.16", "DE")
STORIES = {
    # 33.33 of 100.00 are 36.666… of 110.01, and 36.67 is shared as 25.00 and 8.33, by largest remainder
    "a part of what is earned, with tax that is withheld of it": stated(
        [EARNED],
        [side("payable", "66.67", "73.34")],
        event("approved", *A_THIRD, TAX_KEPT, payment_id="x", withheld={"amount": "8.33", "currency": "EUR"}),
    ),
    "earnings and fund money, each at its own worth, and the tax on the invoice": stated(
        [EARNED, FUND],
        [side("payable", "50.00", "55.00"), side("payable:fund", "0.00", "0.00"), side("payable:tax", "0.00", "0.00")],
        event(
            "taxed", entry("vat", "10.00", "11.50", "DE"), entry("payable", "-10.00", "-11.50", "tax"), payment_id="x"
        ),
        event(
            "approved",
            entry("payable", "50.00", "55.01"),
            entry("payable", "40.00", "45.00", "fund"),
            entry("in_payment", "-90.00", "-100.01"),
            entry("payable", "10.00", "11.50", "tax"),
            entry("in_payment", "-10.00", "-11.50"),
            payment_id="x",
        ),
    ),
    "a payment that is blocked, approved again and given up, with the tax on its invoice": stated(
        [EARNED],
        [side("payable", "100.00", "110.01"), side("payable:tax", "0.00", "0.00")],
        event(
            "taxed", entry("vat", "10.00", "11.50", "DE"), entry("payable", "-10.00", "-11.50", "tax"), payment_id="x"
        ),
        event(
            "approved", entry("payable", "100.00", "110.01"), entry("in_payment", "-100.00", "-110.01"), payment_id="x"
        ),
        event(
            "blocked", entry("payable", "-100.00", "-110.01"), entry("in_payment", "100.00", "110.01"), payment_id="x"
        ),
        event(
            "approved", entry("payable", "100.00", "110.01"), entry("in_payment", "-100.00", "-110.01"), payment_id="x"
        ),
        event(
            "declined",
            entry("payable", "-100.00", "-110.01"),
            entry("in_payment", "100.00", "110.01"),
            entry("vat", "-10.00", "-11.50", "DE"),
            entry("payable", "10.00", "11.50", "tax"),
            payment_id="x",
        ),
    ),
    "what is owed and given up": stated(
        [side("payable", "-20.00", "-23.00")],
        [side("payable", "0.00", "0.00")],
        event("written_off", entry("expense", "20.00", "23.00", "write_off"), entry("payable", "-20.00", "-23.00")),
    ),
    "what is lost of what waited too long": stated(
        [EARNED],
        [side("payable", "60.00", "66.01")],
        event("forfeited", entry("payable", "40.00", "44.00"), entry("forfeited", "-40.00", "-44.00")),
    ),
    "what goes to another account, and all of it that comes back": stated(
        [EARNED],
        [side("payable", "100.00", "110.01")],
        event(
            "moved",
            entry("transferred", "-50.00", "-55.01"),
            entry("payable", "50.00", "55.01"),
            other_id="p2",
            fund=False,
            absorbed=True,
            undone=False,
            amount={"amount": "-50.00", "currency": "EUR"},
            books={"amount": "-55.01", "currency": "USD"},
        ),
        event(
            "moved",
            entry("transferred", "50.00", "55.01"),
            entry("payable", "-50.00", "-55.01"),
            other_id="p2",
            fund=False,
            absorbed=True,
            undone=True,
            amount={"amount": "50.00", "currency": "EUR"},
            books={"amount": "55.01", "currency": "USD"},
        ),
    ),
    "what is left of a rebate that came to nothing at another rate": stated(
        [EARNED],
        [side("payable", "0.00", "0.00")],
        event("settled", entry("accrued", "0.00", "5.00"), entry("payable", "0.00", "-5.00")),
        event("forfeited", entry("payable", "100.00", "115.01"), entry("forfeited", "-100.00", "-115.01")),
    ),
}


def lifted(entry):
    """An entry that stands for a cent more in the books: up for a debit, down for a credit."""
    amount = Decimal(entry["books_amount"]["amount"])
    entry["books_amount"]["amount"] = str(amount + (Decimal("0.01") if amount > 0 else Decimal("-0.01")))


@pytest.mark.parametrize("story", STORIES)
def test_each_part_of_a_balance_follows_and_one_changed_digit_or_two_that_balance_are_named(story):
    statement, events = STORIES[story]
    assert in_balance(statement, events) == []
    for place, one in enumerate(events):
        entries = [n for n, told in enumerate(one["data"]["journal"]["entries"]) if told["account"] == "payable"]
        for number in entries:
            wrong = deepcopy(events)
            for told in {number, (number + 1) % len(one["data"]["journal"]["entries"])}:
                lifted(wrong[place]["data"]["journal"]["entries"][told])
            assert in_balance(statement, wrong) != [], (place, number)


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("which", ["opening_worth", "closing_worth"])
def test_what_a_statement_opens_or_closes_with_in_the_books_is_named_where_it_does_not_follow(story, which):
    statement, events = STORIES[story]
    for place, _ in enumerate(statement[which]):
        for figure in ("amount", "books"):
            wrong = deepcopy(statement)
            told = wrong[which][place][figure]
            told["amount"] = str(Decimal(told["amount"]) + Decimal("0.01"))
            assert in_balance(wrong, events) != [], (place, figure)


def test_a_statement_that_does_not_tell_its_worth_is_taken_as_recorded():
    statement, events = STORIES["what is owed and given up"]
    assert in_balance({**statement, "opening_worth": None}, []) == in_balance(None, events) == []


# Through the service


async def statement_of(incentives, partner_id, period):
    body = {"partner_id": partner_id, "period": period, "currency": "EUR"}
    issued = await incentives.post(FINANCE, "/statements", body)
    assert issued.status_code == 201, issued.text
    return issued.json()["statement_id"]


async def moved_paid_and_undone(incentives):
    """100.00 EUR earned by p1 at 1.10, moved to p2 and paid by it at 1.15; undone. How p1 stated what went."""
    await incentives.hear(opened("USD"))
    await incentives.publish_plan(plan(hold_days=0))
    for partner_id in ("p1", "p2"):
        await incentives.hear(activated(partner_id))
    incentives.clock.set(datetime(2026, 4, 16, 12, tzinfo=UTC))
    await recorded(incentives, "2026-04-16", {"EUR/USD": "1.10"})
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    await incentives.hear(replace(merged(), effective_on=date(2026, 4, 1)))
    assert await payable(incentives) == {"p1-EUR": 0, "p2-EUR": -100}
    incentives.clock.set(datetime(2026, 5, 4, 9, tzinfo=UTC))
    await recorded(incentives, "2026-05-04", {"EUR/USD": "1.15"})
    gone = await statement_of(incentives, "p1", "2026-04")
    assert await paid(incentives, "EUR", "p2") == "100.00"
    await incentives.hear(unmerged())
    assert await payable(incentives) == {"p1-EUR": -100, "p2-EUR": 100}
    return gone


async def given_up_by_two(incentives):
    owes = {"payee_id": "p2", "currency": "EUR", "reason": "they were two all along"}
    for who in (FINANCE, APPROVER):
        assert (await incentives.post(who, "/write-offs", owes)).status_code == 200
    incentives.clock.set(datetime(2026, 6, 2, 9, tzinfo=UTC))


async def test_what_moved_was_paid_came_back_and_is_given_up_is_110_00_usd_all_the_way(tmp_path):
    async with started(tmp_path) as incentives:
        gone = await moved_paid_and_undone(incentives)
        await given_up_by_two(incentives)
        back, given_up = [await statement_of(incentives, one, "2026-05") for one in ("p1", "p2")]
        listed = (await incentives.get(P2, "/statements"))["items"]
        [came] = [one["statement_id"] for one in listed if one["number"] == 1]
        whose = ((P1, gone), (P1, back), (P2, came), (P2, given_up))
        proofs = [await incentives.get(who, f"/statements/{one}/proof") for who, one in whose]

    assert [verify(json.dumps(one)) for one in proofs] == [[], [], [], []]
    elsewhere = ["1 journals: what they stand for in the books"]
    assert [as_recorded(json.dumps(one)) for one in proofs] == [[], elsewhere, elsewhere, elsewhere]
    worths = [
        [(one["side"], one["amount"]["amount"], one["books"]["amount"]) for one in proof["statement"][which]]
        for proof in proofs
        for which in ("opening_worth", "closing_worth")
    ]
    nothing, whole = [("payable", "0.00", "0.00")], [("payable", "100.00", "110.00")]
    assert worths == [whole, nothing, nothing, whole, nothing, whole, whole, nothing]
    for proof in proofs:
        assert_each_figure_counts(proof)


def assert_each_figure_counts(proof):
    """A cent more in the books of what draws on the balance is named, though the hash of its event was made anew."""
    told = [KINDS[name] for name in ("approved", "written_off", "moved")]
    for place, one in enumerate(proof["events"]):
        if one["type"] not in told or is_recorded(one, proof["statement"]):
            continue
        wrong = deepcopy(proof)
        for entry in wrong["events"][place]["data"]["journal"]["entries"][:2]:
            lifted(entry)
        body = json.dumps(wrong["events"][place]["data"], separators=(",", ":"), ensure_ascii=False)
        wrong["events"][place]["sha256"] = hashlib.sha256(body.encode()).hexdigest()
        found = verify(json.dumps(wrong))
        assert [text for text in found if "the log" not in text] != [], one["type"]


def is_recorded(one, statement):
    """What an earlier statement tells of, and what follows from another account."""
    elsewhere = one["type"] == KINDS["moved"] and not (one["data"]["absorbed"] or one["data"]["undone"])
    return one["position"] <= statement["from_position"] or elsewhere
