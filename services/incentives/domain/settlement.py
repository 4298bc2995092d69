"""The money side of a partner that leaves: nothing is earned after its last business day.

At the end of the run-off what is reserved is released, the final statements are issued, and the partner is settled once
nothing is open.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol, assert_never

from chassis.event import command, event, frozen
from contracts.values import Money

LOOKS_DAILY, DAYS_LATER = 14, 7
"""So many looks come a day after the one before, later ones a week."""

# Events, of the payee's stream


@event("incentives.PayeeLeaving.v1")
class PayeeLeaving:
    payee_id: str
    partner_id: str
    revision: int
    last_business_day: date
    run_off_until: date
    recorded_at: datetime


@event("incentives.PayeeStays.v1")
class PayeeStays:
    """It was called off."""

    payee_id: str
    partner_id: str
    revision: int
    recorded_at: datetime


@frozen
class OpenBalance:
    """What still stands on an account of a payee, above zero where the vendor owes it."""

    payee_id: str
    account: str
    amount: Money


@event("incentives.SettlementAwaited.v1")
class SettlementAwaited:
    """The run-off is over and something is open still; it is looked at again on a day."""

    payee_id: str
    partner_id: str
    open: tuple[OpenBalance, ...]
    fund_request_ids: tuple[str, ...]
    look_again_on: date
    awaited_at: datetime


@event("incentives.PartnerSettled.v1")
class PartnerSettled:
    payee_id: str
    partner_id: str
    settled_on: date
    settled_at: datetime


@event("incentives.SettledByHandNoted.v1")
class SettledByHandNoted:
    """Two of finance ended the partnership with evidence. What stands in the ledger stands, and is looked at still."""

    payee_id: str
    partner_id: str
    settled_on: date
    noted_at: datetime


SettlementEvent = PayeeLeaving | PayeeStays | SettlementAwaited | PartnerSettled | SettledByHandNoted

# Commands


@command("incentives.LetPayeeLeave.v1")
class LetPayeeLeave:
    partner_id: str
    revision: int
    last_business_day: date
    run_off_until: date
    now: datetime


@command("incentives.KeepPayee.v1")
class KeepPayee:
    partner_id: str
    revision: int
    now: datetime


@command("incentives.SettlePartner.v1")
class SettlePartner:
    """What the ledger and the fund requests of the partner say is open."""

    partner_id: str
    open: tuple[OpenBalance, ...] = ()
    fund_request_ids: tuple[str, ...] = ()
    now: datetime


@command("incentives.NoteSettledByHand.v1")
class NoteSettledByHand:
    """The partnership has ended, and it was not this service that said so."""

    partner_id: str
    settled_on: date
    now: datetime


# State


@frozen
class Leaving:
    """When the partner leaves, how often its settlement was looked at, and when it was settled, here or by hand."""

    revision: int = 0
    last_business_day: date | None = None
    run_off_until: date | None = None
    looks: int = 0
    settled_on: date | None = None
    by_hand_on: date | None = None

    def earns(self, day: date) -> bool:
        """Whether what happens on a day still earns."""
        return self.last_business_day is None or day <= self.last_business_day

    def run_off_over(self, now: datetime) -> bool:
        """Whether the last day of the run-off has passed."""
        return self.run_off_until is not None and self.run_off_until < _today(now)


class Leaver(Protocol):
    """A payee, as far as its leaving goes."""

    @property
    def leaving(self) -> Leaving: ...


# Decisions


def let_payee_leave(wish: LetPayeeLeave, payee: Leaver) -> list[SettlementEvent]:
    """Keeps the days of a partner that leaves; what is older than what is known changes nothing."""
    if wish.revision <= payee.leaving.revision:
        return []
    return [
        PayeeLeaving(
            payee_id=wish.partner_id,
            partner_id=wish.partner_id,
            revision=wish.revision,
            last_business_day=wish.last_business_day,
            run_off_until=wish.run_off_until,
            recorded_at=wish.now,
        )
    ]


def keep_payee(wish: KeepPayee, payee: Leaver) -> list[SettlementEvent]:
    if wish.revision <= payee.leaving.revision:
        return []
    return [
        PayeeStays(payee_id=wish.partner_id, partner_id=wish.partner_id, revision=wish.revision, recorded_at=wish.now)
    ]


def settle_partner(wish: SettlePartner, payee: Leaver) -> list[SettlementEvent]:
    """Settles a partner whose run-off is over and of which nothing is open, else says what is and looks again."""
    leaving = payee.leaving
    if leaving.settled_on or not leaving.run_off_over(wish.now):
        return []
    today = _today(wish.now)
    if not wish.open and not wish.fund_request_ids:
        return [
            PartnerSettled(payee_id=wish.partner_id, partner_id=wish.partner_id, settled_on=today, settled_at=wish.now)
        ]
    days = 1 if leaving.looks < LOOKS_DAILY else DAYS_LATER
    return [
        SettlementAwaited(
            payee_id=wish.partner_id,
            partner_id=wish.partner_id,
            open=wish.open,
            fund_request_ids=wish.fund_request_ids,
            look_again_on=today + timedelta(days=days),
            awaited_at=wish.now,
        )
    ]


def note_settled_by_hand(wish: NoteSettledByHand, payee: Leaver) -> list[SettlementEvent]:
    """Keeps that two people settled a partner of which something may still be open here; the end of one settled, not."""
    leaving = payee.leaving
    if leaving.last_business_day is None or leaving.settled_on or leaving.by_hand_on:
        return []
    return [
        SettledByHandNoted(
            payee_id=wish.partner_id, partner_id=wish.partner_id, settled_on=wish.settled_on, noted_at=wish.now
        )
    ]


def _today(now: datetime) -> date:
    return now.astimezone(UTC).date()


# Evolve


def evolve(leaving: Leaving, happened: SettlementEvent) -> Leaving:
    match happened:
        case PayeeLeaving():
            return Leaving(
                revision=happened.revision,
                last_business_day=happened.last_business_day,
                run_off_until=happened.run_off_until,
            )
        case PayeeStays():
            return Leaving(revision=happened.revision)
        case SettlementAwaited():
            return replace(leaving, looks=leaving.looks + 1)
        case PartnerSettled():
            return replace(leaving, settled_on=happened.settled_on)
        case SettledByHandNoted():
            return replace(leaving, by_hand_on=happened.settled_on)
        case _:
            assert_never(happened)
