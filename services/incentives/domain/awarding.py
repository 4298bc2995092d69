"""A SPIFF that is claimed for a sale: which version pays for it, until when, and what of a claim is known of the sale.

A row that was claimed fits when the sale's facts know so many units of its product, or the point of sale has it under
its serial number or invoice. An order of a distributor vouches for the products of the registration, and where nothing says
which these are, for a row under its number, if the SPIFF pays for every product. What is paid follows from the facts
alone: rows show who sold it, not how much it is worth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from chassis.decider import Invalid, NotFound, Refused
from chassis.event import iso
from chassis.rulebook import Rulebook
from services.incentives.domain.choice import Chosen, alone, governing_version, version_of
from services.incentives.domain.fund_request import DeadlinePassed
from services.incentives.domain.plan import SPIFF
from services.incentives.domain.rating import Sold, counts
from services.incentives.domain.sale import ADDED, ORDERED, POS, AwardClaimedBefore, Sale, shares_in_month
from services.incentives.domain.sale_events import BasisRecorded, WinRecorded
from services.incentives.domain.special_price import SoldRow


class NotClaimed(Invalid):
    """That SPIFF is not claimed, or was not in force on the day of the win: see the plans for those that are."""

    slug = "not-claimed"


class AwardOverlaps(Refused):
    """Another SPIFF in `plan_ids` has paid for this sale, and one of the two does not pay beside others."""

    slug = "award-overlaps"


class NothingAwarded(Refused):
    """This sale earns nothing under this SPIFF now, see `reason_code`: deny the claim, or approve it when that changes."""

    slug = "nothing-awarded"


class OfSale(Protocol):
    """Which win of which sale a SPIFF is claimed for."""

    @property
    def opportunity_id(self) -> str: ...

    @property
    def win_no(self) -> int: ...


@dataclass(frozen=True)
class Claimable:
    """What can be claimed: the win, the version that pays for it, and the last day to claim."""

    sale: Sale
    win: WinRecorded
    chosen: Chosen
    partner_id: str

    @property
    def claim_by(self) -> date:
        return self.win.credited_on + timedelta(days=self.chosen.plan.claim_days)


def award_at(plan_id: str, partner_id: str, of: OfSale, sale: Sale, books: Sequence[Rulebook]) -> Claimable:
    """The SPIFF as it holds for a sale that the partner is credited with. Raises NotFound, NotClaimed, AwardClaimedBefore."""
    win = sale.wins.get(of.win_no)
    if win is None or not _credited(sale, win, partner_id):
        raise NotFound
    found = (chosen for book in books if (chosen := governing_version(book, win.credited_on)))
    chosen = next((one for one in found if one.plan_id == plan_id and one.plan.kind == SPIFF), None)
    if chosen is None or not chosen.plan.claimed:
        raise NotClaimed
    before = sale.claimed.get((win.win_no, plan_id, partner_id))
    if before is not None:
        raise AwardClaimedBefore(claim_id=before.claim_id)
    return Claimable(sale, win, chosen, partner_id)


def _credited(sale: Sale, win: WinRecorded, partner_id: str) -> bool:
    shares = (one for credit in sale.credit_of(win.win_no) for one in shares_in_month(credit.shares, win.credited_on))
    return any(share.partner_id == partner_id for share in shares)


def in_time(award: Claimable, now: datetime) -> None:
    """Raises DeadlinePassed after the last day to claim."""
    if now.astimezone(UTC).date() > award.claim_by:
        raise DeadlinePassed(claim_by=iso(award.claim_by))


def beside_others(award: Claimable, books: Sequence[Rulebook]) -> None:
    """Raises AwardOverlaps where a SPIFF that has paid for the same, or this one, pays alone."""
    standing = (line for line in award.sale.lines.values() if not line.superseded and not line.remaining.zero)
    mine = (award.win.win_no, award.partner_id, award.chosen.plan.pool)
    of_spiffs = [
        line
        for line in standing
        if (line.key.win_no, line.key.partner_id, line.key.pool) == mine and line.kind == SPIFF
    ]
    versions = {(line.key.plan_id, line.plan_version) for line in of_spiffs}
    paid = [chosen for plan_id, number in sorted(versions) if (chosen := version_of(books, plan_id, number))]
    if alone(award.chosen.plan, [chosen.plan for chosen in paid]):
        raise AwardOverlaps(plan_ids=[chosen.plan_id for chosen in paid])


@dataclass(frozen=True)
class Compared:
    """Each row in a sentence, and whether all of them fit what is known of the sale."""

    steps: tuple[str, ...]
    whole: bool


def compared(award: Claimable, rows: Sequence[tuple[SoldRow, str]], counted_before: frozenset[str]) -> Compared:
    """The rows of a claim, each with its name as evidence, beside the facts of the sale."""
    units, steps, whole, seen = _units(award), [], True, set(counted_before)
    for number, (row, evidence_id) in enumerate(rows, start=1):
        order = _order_of(award, row)
        why = _unfit(award, units, row, seen=evidence_id in seen, vouched=order is not None)
        seen.add(evidence_id)
        whole = whole and why is None
        fits = f"fit the order {order.external_id}, which names no product" if order else "fit the sale"
        steps.append(f"row {number}: {row.quantity} {row.sku} {f'do not fit: {why}' if why else fits}")
        units = units if order else {**units, row.sku: units.get(row.sku, 0) - row.quantity}
    return Compared(steps=tuple(steps), whole=whole)


def _units(award: Claimable) -> Mapping[str, int]:
    """The units of each product that the SPIFF pays for: as booked, at the point of sale, or as registered and ordered.

    Where these say different numbers the largest: they tell of the same units, and so do several orders.
    """
    told = [_by_sku(counts(award.chosen.plan, tuple(lines))) for lines in _tellings(award)]
    return {sku: max(one.get(sku, 0) for one in told) for sku in set().union(*told)}


def _tellings(award: Claimable) -> list[Sequence[Sold]]:
    """The sold lines of the sale, once by each who tells of them."""
    booked = [*award.win.sold, *_sold(award, ADDED)]
    return [booked, _sold(award, POS), *(order.sold for order in _orders(award))]


def _orders(award: Claimable) -> list[BasisRecorded]:
    return award.sale.bases_of(award.win.win_no, (ORDERED,))


def _order_of(award: Claimable, row: SoldRow) -> BasisRecorded | None:
    """The order that vouches for a row: under its invoice's number, where nothing says which products the sale is of."""
    plan = award.chosen.plan
    if plan.product_families or plan.skus or any(line.sku for lines in _tellings(award) for line in lines):
        return None
    return next((order for order in _orders(award) if order.external_id == row.invoice), None)


def _sold(award: Claimable, kind: str) -> list[Sold]:
    return [line for fact in award.sale.bases_of(award.win.win_no, (kind,)) for line in fact.sold]


def _by_sku(lines: Sequence[Sold]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.sku or ""] = sums.get(line.sku or "", 0) + line.quantity
    return sums


def _unfit(award: Claimable, units: Mapping[str, int], row: SoldRow, *, seen: bool, vouched: bool) -> str | None:
    version, at_pos = award.chosen.version, _at_pos(award, row)
    first = version.effective_from.astimezone(UTC).date()
    last = version.effective_until.astimezone(UTC).date() if version.effective_until else date.max
    known = row.sku in units or at_pos > 0 or vouched
    there = max(units.get(row.sku, 0), at_pos)
    reasons = {
        "it was claimed before": seen,
        "it was sold for another deal": row.registration_id not in (None, award.win.registration_id),
        f"it was not sold from {iso(first)} to {iso(last)}": not first <= row.sold_on <= last,
        "the sale has no such product that the SPIFF pays for": not known,
        "the sale has not that many of it": known and not vouched and row.quantity > there,
    }
    return next((reason for reason, is_so in reasons.items() if is_so), None)


def _at_pos(award: Claimable, row: SoldRow) -> int:
    """The units that the point of sale has under the row's serial number or invoice."""
    facts = award.sale.bases_of(award.win.win_no, (POS,))
    mine = [fact for fact in facts if fact.external_id in (row.serial, row.invoice)]
    return sum(line.quantity for fact in mine for line in fact.sold)
