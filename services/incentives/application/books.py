"""A month is closed over what the ledger sums to, and withheld tax handed over by what it says of each payee."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from chassis.application import Application
from chassis.event import Seen, frozen
from chassis.execution import Peek
from chassis.read_store.port import PAGE_MAX
from contracts.values import Money, none_of
from services.incentives.application.proving import whole_stream
from services.incentives.domain import books as bookkeeping
from services.incentives.domain import tax
from services.incentives.domain.rating import rate_text

RATE_DAY = re.compile(r" of ([0-9]{4}-[0-9]{2})-[0-9]{2}, ")

# The books: a month is closed over what the ledger sums to


async def close_of(app: Application, tenant: str, *, month: str, by: str) -> bookkeeping.CloseMonth:
    """The wish to close a month, with what every account sums to now."""
    await app.caught_up("trial_balance")
    found = await app.read.find("trial_balance", tenant, sort="currency", limit=PAGE_MAX)
    months = [document["first_booked_on"][:7] for document in found.items]
    return bookkeeping.CloseMonth(
        month=month,
        position=max((document["position"] for document in found.items), default=0),
        balances={
            f"{account} {document['currency']}": amount
            for document in found.items
            for account, amount in document["accounts"].items()
        },
        totals=_totals(found.items),
        first_month=min(months, default=None),
        by=by,
        now=app.clock.now(),
    )


def _totals(trial: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What each currency sums to, and the books in theirs."""
    sums = {document["currency"]: Decimal(document["total"]) for document in trial}
    for document in trial:
        for booked, amount in document["books"].items():
            name = f"books {booked.rpartition(' ')[2]}"
            sums[name] = sums.get(name, Decimal(0)) + Decimal(amount)
    return {name: str(total) for name, total in sorted(sums.items())}


async def with_months(peek: Peek, journals: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Journals with `counts_in`: the month in which each counts, its own or the first that was open after that."""
    found = list(journals)
    closed: dict[str, int] = {}
    for month in sorted({journal["booked_on"][:7] for journal in found}):
        await _closed_since(peek, month, closed)
    months = [bookkeeping.booked_month(date.fromisoformat(one["booked_on"]), one["position"], closed) for one in found]
    return [{**one, "counts_in": month} for one, month in zip(found, months, strict=True)]


async def _closed_since(peek: Peek, month: str, known: dict[str, int]) -> None:
    """Adds at which positions a month and those after it were closed, up to the first that is open."""
    while month not in known and (closed := (await peek(bookkeeping.AllBooks.at(month))).closed):
        known[month] = closed.position
        month = bookkeeping.month_after(month)


async def source_of(app: Application, seen: Seen, asked: dict[str, Any]) -> dict[str, Any]:
    """What an explanation rests on; where it is a rate of exchange, with the event that last recorded it before."""
    day = RATE_DAY.search(str(asked["value"])) if asked["name"] == "rate" else None
    recorded = await whole_stream(app, bookkeeping.AllBooks.at(day[1]).name(seen.tenant)) if day else []
    for one in reversed(recorded):
        told = one.event.rates if isinstance(one.event, bookkeeping.RatesRecorded) else ()
        if one.position < seen.position and asked["value"] in map(rate_text, told):
            return {**asked, "event_id": one.id, "position": one.position}
    return asked


# Withheld tax: what the ledger says of each payee is copied into the command


@frozen
class Remittance:
    """Which withheld tax was paid to its jurisdiction, with which return, and who says so."""

    jurisdiction: str
    currency: str
    reference: str
    by: str


async def remittance_of(app: Application, tenant: str, peek: Peek, asked: Remittance) -> tax.RemitTax:
    """The wish to remit all that is withheld for a jurisdiction in one currency."""
    await app.caught_up("balances")
    jurisdiction, currency = asked.jurisdiction, asked.currency
    identity = tax.tax_id(jurisdiction, currency)
    known: tax.Tax = await peek(tax.Taxes.at(identity))
    balances = [one for one in await _all_balances(app, tenant) if one["currency"] == currency]
    parts = [_withheld(one, jurisdiction, known) for one in balances if f"withheld:{jurisdiction}" in one["accounts"]]
    due = [part for part in parts if part.amount != known.remitted.get(part.payee_id)]
    return tax.RemitTax(
        tax_id=identity,
        jurisdiction=jurisdiction,
        reference=asked.reference,
        withheld=tuple(due[: tax.PAYEES_MAX]),
        by=asked.by,
        now=app.clock.now(),
    )


async def _all_balances(app: Application, tenant: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await app.read.find("balances", tenant, sort="account_id", after=cursor, limit=PAGE_MAX)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def _withheld(balances: dict[str, Any], jurisdiction: str, known: tax.Tax) -> tax.Withheld:
    account, currency, payee_id = f"withheld:{jurisdiction}", balances["currency"], balances["payee_id"]
    stands = Money(amount=-Decimal(balances["accounts"][account]), currency=currency)
    names = (name.rpartition(" ") for name in balances["books"])
    foreign = [code for name, _, code in names if name == account and code != currency]
    worth = [Money(amount=-Decimal(balances["books"][f"{account} {code}"]), currency=code) for code in foreign]
    return tax.Withheld(
        payee_id=payee_id,
        partner_id=balances["partner_id"],
        amount=stands + known.remitted.get(payee_id, none_of(currency)),
        books=worth[0] if worth else None,
    )
