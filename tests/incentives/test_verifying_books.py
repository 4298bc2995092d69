"""What stands in the books is recomputed too: from the rates that were recorded, and from what stands of each line."""

import hashlib
import json
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.incentives.domain.books import BooksOpened, RatesRecorded
from services.incentives.domain.claim import ClaimTax, ReleaseInstalments
from services.incentives.domain.exchange import InBooks, Rate
from services.incentives.domain.verifying import as_recorded, earnings, verify
from tests.incentives.facts import NOW, World, book, credit, plan, win
from tests.incentives.fund_facts import accepted, claimed, eur, proof, verdict
from tests.incentives.proving import findings, proof_of, proof_of_all
from tests.incentives.test_books import opened, paid, recorded
from tests.incentives.test_service import FINANCE, P1, activated, credited, incentives, refunded, won
from tests.incentives.test_verifying_lines import a_whole_life, in_parts, of_two_months

__all__ = ["incentives"]
DAYS = (date(2026, 3, 16), date(2026, 3, 31), date(2027, 1, 1), date(2027, 1, 10))
RATES = tuple(
    Rate(base="EUR", quote="USD", rate=Decimal(rate), on=day, source="ecb")
    for rate, day in zip(("1.0937", "1.1111", "0.9173", "1.2001"), DAYS, strict=True)
)
BOOKS = {"books_currency": "USD", "rates": RATES}


def claims_in_instalments():
    """Half of 9,000.00 with 855.00 of tax, in seven parts, the first three of them released."""
    log = accepted()
    log.tell(claimed("9000.00", proof(), tax=ClaimTax(country="DE", amount=eur("1710.00"))))
    log.tell(log.submit_claim())
    terms = {"pay_as": "instalments", "instalments": 7, "first_payable_on": date(2026, 4, 1)}
    log.tell(verdict("9000.00", **terms, books=InBooks(currency="USD", rates=RATES)))
    log.tell(ReleaseInstalments(claim_id="c1", now=NOW + timedelta(days=80)))
    rules = [one for (kind, _), events in log.streams.items() if kind == "rulebook" for one in events]
    opening = BooksOpened(currency="USD", source_event_id="t", opened_at=NOW)
    rates = RatesRecorded(month="2026-03", source="ecb", rates=RATES, recorded_by="fin-1", recorded_at=NOW)
    return proof_of_all(opening, rates, *rules, *log.happened)


PROOFS = {
    "lines": lambda: proof_of(a_whole_life(**BOOKS)),
    "rebates": lambda: proof_of(of_two_months(BOOKS)),
    "true-ups": lambda: proof_of(in_parts(BOOKS)),
    "claims": claims_in_instalments,
}


def booked(document):
    """The places of all amounts in the currency of the books."""
    return [
        (place, number)
        for place, event in enumerate(document["events"])
        for number, entry in enumerate((event["data"].get("journal") or {"entries": ()})["entries"])
        if entry["books_amount"]
    ]


def lifted(document, place, *numbers):
    """The proof with other amounts in the books, a cent up for a debit and down for a credit."""
    wrong = deepcopy(document)
    for number in numbers:
        entry = wrong["events"][place]["data"]["journal"]["entries"][number]["books_amount"]
        amount = Decimal(entry["amount"])
        entry["amount"] = str(amount + (Decimal("0.01") if amount > 0 else Decimal("-0.01")))
    return wrong


@pytest.mark.parametrize("made", PROOFS)
def test_each_journal_follows_in_the_books_and_one_changed_digit_or_two_that_balance_are_named(made):
    document = PROOFS[made]()
    assert earnings(document) == []
    places = booked(document)
    assert len(places) > 3
    for place, number in places:
        name = document["events"][place]["id"]
        assert any(name in finding for finding in earnings(lifted(document, place, number))), (place, number)
    for place in {place for place, _ in places}:
        found = earnings(lifted(document, place, 0, 1))
        assert any(document["events"][place]["id"] in finding for finding in found), place


def test_100_00_eur_at_1_10_are_110_00_and_nothing_else():
    rates = (Rate(base="EUR", quote="USD", rate=Decimal("1.10"), on=NOW.date(), source="ecb"),)
    world = World(book(plan()), books_currency="USD", rates=rates).tell(win("1000.00"), credit())
    assert findings(world) == []
    sound = proof_of(world)
    document = lifted(sound, booked(sound)[0][0], 0, 1)
    assert any("in the books it should be 110, it is 110.01" in finding for finding in earnings(document))
    document["events"] = [one for one in document["events"] if one["type"] != RatesRecorded.type]
    assert any("no rate of EUR of the week before it is in the file" in finding for finding in earnings(document))


def test_a_rate_of_eight_days_ago_of_later_or_of_another_day_than_the_newest_is_not_taken():
    def at(*days):
        return tuple(
            Rate(base="USD", quote="EUR", rate=Decimal(n), on=date(2026, 3, day), source="ecb")
            for n, day in enumerate(days, 2)
        )

    world = World(book(plan()), books_currency="USD", rates=at(16)).tell(win("1000.00"), credit())
    for rates, holds in ((at(16), True), (at(9, 16), False), (at(17, 16), False), (at(16, 16), True), (at(8), False)):
        world.known["rates"] = rates
        assert (findings(world) == []) is holds, rates


# Through the service


@pytest.fixture
async def documents(incentives):
    """A sale in euros of which a part is refunded, books in dollars: the statement with its payment, as a partner reads it."""
    await incentives.hear(opened("USD"))
    await incentives.publish_plan(plan())
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))
    await recorded(incentives, "2026-03-16", {"EUR/USD": "11.0", "EUR/GBP": "0.9"})
    await recorded(incentives, "2026-03-16", {"EUR/USD": "1.10"})
    await recorded(incentives, "2026-03-02", {"EUR/USD": "1.05"})
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    await recorded(incentives, "2026-03-16", {"EUR/USD": "1.3"})
    await incentives.hear(refunded("x", "333.33"))
    incentives.clock.set(datetime(2026, 5, 4, 9, tzinfo=UTC))
    await incentives.until(P1, "/lines?state=payable", lambda page: len(page["items"]) == 1)
    assert await paid(incentives, "EUR") == "66.67"
    incentives.clock.set(datetime(2026, 6, 2, 9, tzinfo=UTC))
    body = {"partner_id": "p1", "period": "2026-05", "currency": "EUR"}
    assert (await incentives.post(FINANCE, "/statements", body)).status_code == 201
    listed = (await incentives.get(P1, "/statements"))["items"]
    return [await incentives.get(P1, f"/statements/{one['statement_id']}/proof") for one in reversed(listed)]


async def test_a_proof_holds_the_rates_by_which_something_was_booked_and_none_that_came_later_or_are_older(documents):
    first, second = documents
    assert (verify(json.dumps(first)), as_recorded(json.dumps(first))) == ([], [])
    rates = [one["data"]["rates"][0]["rate"] for one in first["events"] if one["type"] == RatesRecorded.type]
    assert sorted(rates) == ["0.9", "1.10", "1.3"]
    assert (verify(json.dumps(second)), as_recorded(json.dumps(second))) == ([], [])


async def test_a_statement_that_does_not_tell_what_it_opens_with_in_the_books_is_checked_as_before_and_says_so(
    documents,
):
    """As those are that were issued before, and those of the format before."""
    told = ["1 journals: what they stand for in the books"]
    second = {**documents[1], "format": "entente-statement-5"}
    assert (verify(json.dumps(second)), as_recorded(json.dumps(second))) == ([], told)
    silent = {**documents[1], "statement": {**documents[1]["statement"], "opening_worth": None}}
    assert as_recorded(json.dumps(silent)) == told


async def test_a_figure_in_the_books_is_named_though_its_hash_was_made_anew(documents):
    document = documents[0]
    for place, _ in booked(document):
        wrong = lifted(document, place, 0, 1)
        event = wrong["events"][place]
        body = json.dumps(event["data"], separators=(",", ":"), ensure_ascii=False)
        event["sha256"] = hashlib.sha256(body.encode()).hexdigest()
        found = verify(json.dumps(wrong))
        assert any(event["id"] in finding and "in the books" in finding for finding in found)


async def test_a_proof_of_the_format_before_is_checked_without_its_rates_and_says_so(documents):
    document = documents[0]
    kinds = (BooksOpened.type, RatesRecorded.type)
    events = [one for one in document["events"] if one["type"] not in kinds]
    before = json.dumps({**document, "format": "entente-statement-4", "events": events})
    assert verify(before) == []
    assert as_recorded(before) == [
        f"{len({place for place, _ in booked(document)})} journals: what they stand for in the books"
    ]
    assert verify(json.dumps({**document, "events": events})) != []
