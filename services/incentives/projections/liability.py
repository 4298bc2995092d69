"""What was owed to each payee on a day, or as the log stood at a position?"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from chassis.read_store.port import Range, ReadStore, each
from contracts.values import none_of
from services.incentives.domain.books import month_after, month_before
from services.incentives.projections.ledger import (
    FUND,
    KINDS,
    MEMO,
    PAYEES,
    account_id_of,
    account_of,
    balance_of,
    partner_of,
    payee_of,
    sums_of,
)

MEMO_KINDS = tuple(KINDS[kind] for kind in MEMO)
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
    version=3,
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
    for day in [*days] if position is None else [day for day in days if day["position"] <= position]:
        _add(sums, day, day["accounts"])
    cut = [] if position is None else [day for day in days if day["position"] > position]
    for day, journal in await _until(read, tenant, cut, position or 0):
        _add(sums, day, _accounts(journal["entries"]))
    return [_owed(one) for _, one in sorted(sums.items())]


def _add(sums: dict[str, dict[str, Any]], day: dict[str, Any], accounts: dict[str, str]) -> None:
    known = sums.setdefault(day["account_id"], {**day, "accounts": {}})
    known["accounts"] = _summed(known["accounts"], accounts)


Cut = tuple[dict[str, Any], dict[str, Any]]
"""A day that goes on after a position, and a journal of it that was posted until then."""


async def _until(read: ReadStore, tenant: str, cut: Sequence[dict[str, Any]], position: int) -> list[Cut]:
    """What was posted until a position of the days that go on after it. It never changes, whatever is posted meanwhile."""
    if not cut:
        return []
    days = {(day["account_id"], day["booked_on"]): day for day in cut}
    booked = Range(at_least=min(booked_on for _, booked_on in days))
    where = {"booked_on": booked, "position": Range(below=position + 1)}
    found = await every(read, "ledger", tenant, where, "booked_on")
    named = [((journal["account_id"], journal["booked_on"]), journal) for journal in found]
    return [(days[name], journal) for name, journal in named if name in days]


async def booked_in(read: ReadStore, tenant: str, month: str, closed: Mapping[str, int]) -> list[dict[str, Any]]:
    """What counts in a month on every account, debits above zero: a row a currency, whose total is zero.

    That is what was booked on its days, but for what came after it was closed, and what came after the months before it
    were: `closed` says at which positions it and the one before it were.
    """
    first, after = f"{month}-01", f"{month_after(month)}-01"
    within = Range(at_least=first, below=after)
    sums: dict[str, dict[str, str]] = {}
    for day in await every(read, "day_balances", tenant, {"booked_on": within}, "booked_on"):
        sums[day["currency"]] = _summed(sums.get(day["currency"], {}), day["accounts"])
    for sign, booked, known in _late(month, Range(below=first), within, closed):
        for journal in await every(read, "ledger", tenant, {"booked_on": booked, "position": known}, "position"):
            if journal["kind"] not in MEMO_KINDS:
                accounts = _accounts(journal["entries"], sign)
                sums[journal["currency"]] = _summed(sums.get(journal["currency"], {}), accounts)
    return [
        {"currency": currency, "accounts": accounts, "total": str(sum(map(Decimal, accounts.values()), Decimal(0)))}
        for currency, accounts in sorted(sums.items())
    ]


def _late(month: str, before: Range, within: Range, closed: Mapping[str, int]) -> list[tuple[int, Range, Range]]:
    """Which journals to take off a month, and which to add that its days do not have."""
    previous, own = closed.get(month_before(month)), closed.get(month)
    added = [] if previous is None else [(1, before, Range(at_least=previous + 1, below=own and own + 1))]
    return added if own is None else [*added, (-1, within, Range(at_least=own + 1))]


def _summed(one: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    names = sorted(one.keys() | other.keys())
    return {name: str(Decimal(one.get(name, 0)) + Decimal(other.get(name, 0))) for name in names}


def _accounts(entries: Sequence[dict[str, Any]], sign: int = 1) -> dict[str, str]:
    sums: dict[str, str] = {}
    for entry in entries:
        sums = _summed(sums, {entry["account"]: str(sign * Decimal(entry["amount"]))})
    return sums


def _owed(sums: dict[str, Any]) -> dict[str, Any]:
    """What is owed on an account, above zero in the payee's favour; `fund` is what of the payable is fund money."""
    nothing = none_of(sums["currency"]).amount
    owed = {name: nothing - balance_of(sums["accounts"], name, sums["currency"]) for name in LIABILITIES}
    kept = {name: sums[name] for name in ("account_id", "partner_id", "payee_id", "currency")}
    fund = str(nothing - Decimal(sums["accounts"].get(FUND, 0)))
    amounts = {name: str(amount) for name, amount in owed.items()}
    return {**kept, **amounts, "fund": fund, "owed": str(sum(owed.values()))}


async def every(read: ReadStore, model: str, tenant: str, where: dict[str, Any], sort: str) -> list[dict[str, Any]]:
    """All documents of a question."""
    return [one async for one in each(read, model, tenant, where, sort)]


async def position_at(read: ReadStore, tenant: str, known_at: datetime) -> int:
    """The position of the last journal that was recorded by an instant, 0 before the first."""
    day = iso(known_at)[:10]
    found = await every(read, "ledger", tenant, {"booked_on": day}, "booked_on")
    known = [journal for journal in found if datetime.fromisoformat(journal["booked_at"]) <= known_at]
    if not known:
        before = {"booked_on": Range(below=day)}
        newest = await read.find("ledger", tenant, where=before, sort="-booked_on", limit=1)
        days = [one["booked_on"] for one in newest.items]
        known = await every(read, "ledger", tenant, {"booked_on": days[0]}, "booked_on") if days else []
    return max((int(journal["position"]) for journal in known), default=0)
