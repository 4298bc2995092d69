"""What a CRM showed of a record, and how it is read: typed, or held with a code. Never a guess, never a zero."""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from chassis.event import canonical_json, frozen, plain, sha256
from contracts.values import MINOR_DIGITS, Money, none_of
from services.attribution.domain.stages import LOST, WON

STAGE_UNMAPPED, AMOUNT_MISSING, CURRENCY_UNKNOWN = "stage-unmapped", "amount-missing", "currency-unknown"
MALFORMED, EXCEEDS_REMAINING, CLAIMED_ELSEWHERE = "malformed", "exceeds-remaining", "claimed-elsewhere"


@frozen
class CrmChange:
    """A record at one time, mapped fields only, as the CRM wrote them. `refunded` is all that was ever refunded."""

    external_id: str
    modified_at: datetime
    stage: str
    amount: str | None = None
    currency: str | None = None
    refunded: str | None = None
    closed_on: date | None = None
    lost_reason: str | None = None

    @property
    def sha256(self) -> str:
        """Equal content has an equal hash, whenever it was modified and by whom."""
        shown = plain(self)
        return sha256(canonical_json({name: shown[name] for name in shown if name != "modified_at"}))


@frozen
class Reading:
    """A change in our words. Amount is None where the CRM has none; a won one always has one above zero.

    `closed_on` is the day a won or lost record closed, never after the change itself.
    """

    stage: str
    amount: Money | None
    refunded: Money | None
    expected_close_on: date | None
    closed_on: date
    dated_ahead: bool
    lost_reason: str


@frozen
class Held:
    """Why a change cannot be read: it waits for a person, or for the next change."""

    code: str
    text: str


def read_change(change: CrmChange, stage_map: dict[str, str], currency: str | None, seen_on: date) -> Reading | Held:
    """The change in our words. `currency` is the connection's own; `seen_on` the day of the change."""
    stage = stage_map.get(change.stage)
    if stage is None:
        return Held(code=STAGE_UNMAPPED, text=f"the stage {change.stage!r} is not mapped")
    amount = _money(change.amount, change.currency or currency)
    refunded = _money(change.refunded, change.currency or currency)
    if isinstance(amount, Held) or isinstance(refunded, Held):
        return amount if isinstance(amount, Held) else refunded  # type: ignore[return-value]
    if stage == WON and (amount is None or amount.amount <= 0):
        return Held(code=AMOUNT_MISSING, text="a won record needs an amount above zero")
    ahead = change.closed_on is not None and change.closed_on > seen_on
    return Reading(
        stage=stage,
        amount=amount,
        refunded=_none_if_zero(refunded),
        expected_close_on=change.closed_on,
        closed_on=seen_on if ahead or change.closed_on is None else change.closed_on,
        dated_ahead=ahead and stage in (WON, LOST),
        lost_reason=_code(change.lost_reason),
    )


def _money(text: str | None, currency: str | None) -> Money | Held | None:
    if text is None or not text.strip():
        return None
    if currency not in MINOR_DIGITS:
        return Held(code=CURRENCY_UNKNOWN, text=f"the currency {currency!r} is not known")
    try:
        read = Money(amount=Decimal(text.strip()), currency=currency)
    except (InvalidOperation, ValueError) as error:
        return Held(code=MALFORMED, text=f"{text[:40]!r} is not an amount in {currency}: {error}")
    return read if read.amount >= 0 else Held(code=MALFORMED, text="an amount is not negative")


def _none_if_zero(amount: Money | None) -> Money | None:
    return None if amount is None or amount == none_of(amount.currency) else amount


def _code(text: str | None) -> str:
    """A free reason as a stable code: lower case, words joined by hyphens."""
    words = "".join(c if c.isalnum() else " " for c in (text or "").lower()).split()
    return "-".join(words)[:80] or "unknown"
