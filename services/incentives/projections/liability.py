"""What was owed to each payee on a day, or as the log stood at a position?"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from chassis.read_store.port import PAGE_MAX, Range, ReadStore, each
from services.incentives.domain.books import month_after
from services.incentives.projections.ledger import (
    FUND,
    PAYEES,
    account_id_of,
    account_of,
    balance_of,
    partner_of,
    payee_of,
    sums_of,
)

LIABILITIES = ("held", "payable", "in_payment", "accrued", "withheld", "credit_due")


class DayDocument(TypedDict):
    """What was booked on one account on one day."""

    account_id: str
    partner_id: str
    payee_id: str
    currency: str
    booked_on: str
    total: str
    accounts: dict[str, str]
    books: dict[str, str]
    position: int


def evolve_day(document: DayDocument | None, seen: Seen) -> DayDocument:
    return {
        "account_id": account_id_of(seen),
        "partner_id": partner_of(seen.event),
        "payee_id": payee_of(seen.event),
        "currency": seen.event.journal.entries[0].amount.currency,
        "booked_on": iso(seen.recorded_at)[:10],
        **sums_of(document, seen.event.journal),  # type: ignore[typeddict-item]
        "position": seen.position,
    }


def _day(seen: Seen) -> str | None:
    account = account_of(seen)
    return f"{account}-{iso(seen.recorded_at)[:10]}" if account else None


DAY_BALANCES = Projection(
    name="day_balances",
    version=2,
    keys=dict.fromkeys(PAYEES, _day),
    evolve=evolve_day,
    indexes=("booked_on", "partner_id,booked_on"),
)


# Queries


class Owed(TypedDict):
    """What is owed on an account, above zero in the payee's favour; `fund` is what of the payable is fund money."""

    account_id: str
    partner_id: str
    payee_id: str
    currency: str
    held: str
    payable: str
    in_payment: str
    accrued: str
    withheld: str
    credit_due: str
    fund: str
    owed: str


class Liability(TypedDict):
    """What is owed to each payee: now, on a day, or at a position of the log."""

    items: list[Owed]
    position: int | None
    as_of: Annotated[str, date] | None


class Booked(TypedDict):
    """What was booked in one currency, debits above zero, by account; `total` is zero."""

    currency: str
    accounts: dict[str, str]
    total: str


async def liability(read: ReadStore, tenant: str, upto: Range, position: int | None) -> list[dict[str, Any]]:
    """What was owed and of which kind, by payee: on a day, or at a position of the log."""
    days = await every(read, "day_balances", tenant, {"booked_on": upto}, "booked_on")
    sums: dict[str, dict[str, Any]] = {}
    for day in days:
        known = sums.setdefault(day["account_id"], {**day, "accounts": {}})
        known["accounts"] = _summed(known["accounts"], day["accounts"])
    later = await _after(read, tenant, position) if position is not None else []
    for journal in (journal for journal in later if journal["account_id"] in sums):
        account = sums[journal["account_id"]]
        account["accounts"] = _summed(account["accounts"], _negated(journal["entries"]))
    return [_owed(one) for _, one in sorted(sums.items())]


async def booked_in(read: ReadStore, tenant: str, month: str) -> list[dict[str, Any]]:
    """What was booked in a calendar month on every account, debits above zero: a row a currency, whose total is zero."""
    within = Range(at_least=f"{month}-01", below=f"{month_after(month)}-01")
    sums: dict[str, dict[str, str]] = {}
    for day in await every(read, "day_balances", tenant, {"booked_on": within}, "booked_on"):
        sums[day["currency"]] = _summed(sums.get(day["currency"], {}), day["accounts"])
    return [
        {"currency": currency, "accounts": accounts, "total": str(sum(map(Decimal, accounts.values()), Decimal(0)))}
        for currency, accounts in sorted(sums.items())
    ]


async def _after(read: ReadStore, tenant: str, position: int) -> list[dict[str, Any]]:
    return await every(read, "ledger", tenant, {"position": Range(at_least=position + 1)}, "position")


def _summed(one: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    names = sorted(one.keys() | other.keys())
    return {name: str(Decimal(one.get(name, 0)) + Decimal(other.get(name, 0))) for name in names}


def _negated(entries: Sequence[dict[str, Any]]) -> dict[str, str]:
    sums: dict[str, str] = {}
    for entry in entries:
        sums = _summed(sums, {entry["account"]: str(-Decimal(entry["amount"]))})
    return sums


def _owed(sums: dict[str, Any]) -> dict[str, Any]:
    """What is owed on an account, above zero in the payee's favour; `fund` is what of the payable is fund money."""
    owed = {name: -balance_of(sums["accounts"], name) for name in LIABILITIES}
    kept = {name: sums[name] for name in ("account_id", "partner_id", "payee_id", "currency")}
    fund = str(-Decimal(sums["accounts"].get(FUND, "0.00")))
    amounts = {name: str(amount) for name, amount in owed.items()}
    return {**kept, **amounts, "fund": fund, "owed": str(sum(owed.values()))}


async def every(read: ReadStore, model: str, tenant: str, where: dict[str, Any], sort: str) -> list[dict[str, Any]]:
    """All documents of a question."""
    return [one async for one in each(read, model, tenant, where, sort)]


async def position_at(read: ReadStore, tenant: str, known_at: datetime) -> int:
    """The position of the last journal that was recorded by an instant, 0 before the first."""
    day = iso(known_at)[:10]
    found = await every(read, "ledger", tenant, {"booked_on": day}, "booked_on")
    known = [journal["position"] for journal in found if journal["booked_at"] <= iso(known_at)]
    if known:
        last: int = max(known)
        return last
    before = await read.find(
        "day_balances", tenant, where={"booked_on": Range(below=day)}, sort="-booked_on", limit=PAGE_MAX
    )
    newest: int = max((document["position"] for document in before.items), default=0)
    return newest
