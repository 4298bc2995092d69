"""One sale as the CRM has it: opened from an approved registration, moved, won, lost, reopened, refunded.

Open stages → Won ⇄ open again, or Lost ⇄ open again. Each win has a number; what is taken back never exceeds it.
"""

from collections.abc import Sequence
from dataclasses import field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import assert_never

from chassis.decider import Decider, Refused
from chassis.event import canonical_json, event, frozen, iso, sha256, stable_id
from contracts.attribution import SoldLine
from contracts.values import AccountRef, Money, OpportunityId, PartnerId, ProductLine, RegistrationId, none_of, split
from services.attribution.domain.crm_change import Reading
from services.attribution.domain.merger import Merger, Mergers, counted_as
from services.attribution.domain.stages import LOST, PROSPECT, WON
from services.attribution.domain.touch import TouchFact

TOUCHES_MAX = 1_000
CLOSED_BY_SALE = ("won", "lost")
"""Ends of protection that follow from the sale itself: they take no credit away."""
REFUND, REOPENED, CORRECTED = "refund", "reopened", "corrected"

# Events


@event("attribution.OpportunityOpened.v1")
class OpportunityOpened:
    """`external_id` is the CRM record that the registration named, if it named one."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    deal_type: str
    account: AccountRef
    products: tuple[ProductLine, ...]
    amount: Money
    close_on: date
    protected_until: datetime
    external_id: str | None = None
    opened_at: datetime


@event("attribution.OpportunityTouched.v1")
class OpportunityTouched:
    """A touch counts for this sale; the touch's own stream holds the rest of it."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId | None = None
    touch: TouchFact


@event("attribution.RegistrationFollowed.v1")
class RegistrationFollowed:
    """The registration behind the sale changed. Status: approved, or why its protection ended."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId
    status: str
    amount: Money | None = None
    close_on: date | None = None
    protection_ended_at: datetime | None = None
    followed_at: datetime


@event("attribution.MergerFollowed.v1")
class MergerFollowed:
    """A partner of the sale is one with another from a day on; without a survivor it stands for itself again."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId | None
    partner_id: PartnerId
    survivor_id: PartnerId | None
    effective_on: date | None
    revision: int
    followed_at: datetime


@event("attribution.CrmFieldsWanted.v1")
class CrmFieldsWanted:
    """What the CRM should say of the sale. `creation` is only for a row that is not there yet."""

    opportunity_id: OpportunityId
    fields: dict[str, str]
    creation: dict[str, str]
    wish_sha256: str
    wanted_at: datetime


@event("attribution.CrmRecordKnown.v1")
class CrmRecordKnown:
    opportunity_id: OpportunityId
    connection_id: str
    external_id: str
    known_at: datetime


@event("attribution.DealStageChanged.v1")
class DealStageChanged:
    """The CRM moved the sale, its amount or its expected close. `true_at` is the CRM's time of the change."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId | None
    partner_ids: tuple[PartnerId, ...]
    from_stage: str
    to_stage: str
    true_at: datetime
    amount: Money | None
    expected_close_on: date | None


@event("attribution.DealReopened.v1")
class DealReopened:
    opportunity_id: OpportunityId
    registration_id: RegistrationId | None
    partner_ids: tuple[PartnerId, ...]
    from_stage: str
    to_stage: str
    true_at: datetime
    amount: Money | None
    expected_close_on: date | None


@event("attribution.DealWon.v1")
class DealWon:
    """Credit counts touches up to `cutoff_at`. `dated_ahead`: the CRM's close lay ahead, the change's day was taken."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId | None
    account_id: str | None
    partner_ids: tuple[PartnerId, ...]
    win_no: int
    amount: Money
    lines: tuple[SoldLine, ...]
    deal_type: str
    closed_on: date
    cutoff_at: datetime
    dated_ahead: bool
    won_at: datetime


@event("attribution.DealLost.v1")
class DealLost:
    opportunity_id: OpportunityId
    registration_id: RegistrationId | None
    partner_ids: tuple[PartnerId, ...]
    closed_on: date
    reason_code: str
    lost_at: datetime


@event("attribution.RevenueReversed.v1")
class RevenueReversed:
    opportunity_id: OpportunityId
    registration_id: RegistrationId | None
    partner_ids: tuple[PartnerId, ...]
    win_no: int
    reversal_id: str
    amount: Money
    lines: tuple[SoldLine, ...]
    remaining: Money
    reason_code: str
    occurred_on: date


OpportunityEvent = (
    OpportunityOpened
    | OpportunityTouched
    | RegistrationFollowed
    | MergerFollowed
    | CrmFieldsWanted
    | CrmRecordKnown
    | DealStageChanged
    | DealReopened
    | DealWon
    | DealLost
    | RevenueReversed
)


# State


@frozen
class Win:
    """The present win and what is left of it."""

    win_no: int
    amount: Money
    remaining: Money
    refunded: Money
    lines: tuple[SoldLine, ...]
    closed_on: date
    cutoff_at: datetime
    partner_ids: tuple[PartnerId, ...] = ()


@frozen
class Registration:
    """What the sale knows of its registration."""

    registration_id: RegistrationId
    number: str
    partner_id: PartnerId
    deal_type: str
    account: AccountRef
    products: tuple[ProductLine, ...]
    amount: Money
    close_on: date
    status: str
    protected_until: datetime


@frozen
class Opportunity:
    """`stage` is None until the sale is opened; touches and the end of protection may come before."""

    stage: str | None = None
    registration: Registration | None = None
    touches: tuple[TouchFact, ...] = ()
    external_id: str | None = None
    amount: Money | None = None
    expected_close_on: date | None = None
    win: Win | None = None
    wins: int = 0
    reversals: frozenset[str] = frozenset()
    wish_sha256: str | None = None
    mergers: Mergers = field(default_factory=dict)

    @property
    def registration_id(self) -> RegistrationId | None:
        return self.registration.registration_id if self.registration else None

    @property
    def own_partner_ids(self) -> tuple[PartnerId, ...]:
        """Every partner with a part in the sale by its own name, in the order they came."""
        own = [self.registration.partner_id] if self.registration else []
        return tuple(dict.fromkeys([*own, *(touch.partner_id for touch in self.touches)]))

    def partners_on(self, day: date) -> tuple[PartnerId, ...]:
        """Every partner with a part in the sale: who was absorbed by that day stands there as who goes on for it."""
        return tuple(dict.fromkeys(counted_as(one, self.mergers, day) for one in self.own_partner_ids))


# Refusals


class ExceedsRemaining(Refused):
    """More would be taken back than is left of this win."""

    slug = "exceeds-remaining"


# Decisions on one observed change. `at` is the CRM's time of it.


@frozen
class Moment:
    """When a change was true, and which day and last touch a close at that time counts."""

    opportunity_id: OpportunityId
    true_at: datetime
    occurred_on: date
    cutoff_at: datetime


def follow(reading: Reading, sale: Opportunity, at: Moment) -> list[OpportunityEvent]:
    """What an understood change of the CRM's row means for the sale. Raises ExceedsRemaining for too large a refund."""
    if reading.stage == WON:
        return _followed_win(reading, sale, at)
    back = _taken_back(sale, at, REOPENED)
    if reading.stage == LOST:
        return [*back, *_lose(reading, sale, at)]
    if sale.stage in (WON, LOST):
        return [*back, _reopened(reading, sale, at)]
    return _moved(reading, sale, at)


def _followed_win(reading: Reading, sale: Opportunity, at: Moment) -> list[OpportunityEvent]:
    amount, win = reading.amount, sale.win
    if amount is None:
        return []
    refunded = reading.refunded or none_of(amount.currency)
    if win is None or win.amount != amount or refunded < win.refunded:
        start = _won_anew(reading, amount, sale, at)
        sale = Opportunities.fold(start, sale)
    else:
        start = []
    return [*start, *_refund(refunded, sale, at)]


def _won_anew(reading: Reading, amount: Money, sale: Opportunity, at: Moment) -> list[OpportunityEvent]:
    """A win; before it, what stood in its way is undone: a loss is reopened, a win of another amount taken back."""
    before: list[OpportunityEvent] = _taken_back(sale, at, CORRECTED)
    if sale.stage == LOST:
        before.append(_reopened(replace(reading, stage=PROSPECT), sale, at))
    return [*before, _won(reading, amount, sale, at)]


def _won(reading: Reading, amount: Money, sale: Opportunity, at: Moment) -> DealWon:
    registration = sale.registration
    return DealWon(
        opportunity_id=at.opportunity_id,
        registration_id=sale.registration_id,
        account_id=registration.account.account_id if registration else None,
        partner_ids=sale.partners_on(reading.closed_on),
        win_no=sale.wins + 1,
        amount=amount,
        lines=sold_lines(at.opportunity_id, amount, registration.products if registration else ()),
        deal_type=registration.deal_type if registration else "new",
        closed_on=reading.closed_on,
        cutoff_at=at.cutoff_at,
        dated_ahead=reading.dated_ahead,
        won_at=at.true_at,
    )


def _lose(reading: Reading, sale: Opportunity, at: Moment) -> list[OpportunityEvent]:
    if sale.stage == LOST:
        return []
    return [
        DealLost(
            opportunity_id=at.opportunity_id,
            registration_id=sale.registration_id,
            partner_ids=sale.partners_on(reading.closed_on),
            closed_on=reading.closed_on,
            reason_code=reading.lost_reason,
            lost_at=at.true_at,
        )
    ]


def _moved(reading: Reading, sale: Opportunity, at: Moment) -> list[OpportunityEvent]:
    shown = reading.stage, reading.amount, reading.expected_close_on
    if shown == (sale.stage, sale.amount, sale.expected_close_on):
        return []
    return [
        DealStageChanged(
            opportunity_id=at.opportunity_id,
            registration_id=sale.registration_id,
            partner_ids=sale.partners_on(at.occurred_on),
            from_stage=sale.stage or PROSPECT,
            to_stage=reading.stage,
            true_at=at.true_at,
            amount=reading.amount,
            expected_close_on=reading.expected_close_on,
        )
    ]


def _reopened(reading: Reading, sale: Opportunity, at: Moment) -> DealReopened:
    return DealReopened(
        opportunity_id=at.opportunity_id,
        registration_id=sale.registration_id,
        partner_ids=sale.partners_on(at.occurred_on),
        from_stage=sale.stage or PROSPECT,
        to_stage=reading.stage,
        true_at=at.true_at,
        amount=reading.amount,
        expected_close_on=reading.expected_close_on,
    )


def _taken_back(sale: Opportunity, at: Moment, reason_code: str) -> list[OpportunityEvent]:
    """The reversal of all that is left of the present win."""
    if sale.win is None or sale.win.remaining.zero:
        return []
    identity = stable_id(at.opportunity_id, sale.win.win_no, reason_code)
    return reverse_revenue(sale, at, identity, sale.win.remaining, reason_code)


def _refund(refunded: Money, sale: Opportunity, at: Moment) -> list[OpportunityEvent]:
    """The part of the CRM's running total of refunds that is not taken back yet."""
    if sale.win is None or refunded <= sale.win.refunded:
        return []
    identity = stable_id(at.opportunity_id, sale.win.win_no, REFUND, str(refunded.amount))
    return reverse_revenue(sale, at, identity, refunded - sale.win.refunded, REFUND)


def reverse_revenue(
    sale: Opportunity, at: Moment, reversal_id: str, amount: Money, reason_code: str
) -> list[OpportunityEvent]:
    """Takes part of the present win back, by line pro rata on what remains. The same reversal again is nothing."""
    win = sale.win
    if reversal_id in sale.reversals:
        return []
    if win is None or amount.amount <= 0 or win.remaining < amount:
        raise ExceedsRemaining(remaining=str(win.remaining.amount) if win else "0", asked=str(amount.amount))
    return [
        RevenueReversed(
            opportunity_id=at.opportunity_id,
            registration_id=sale.registration_id,
            partner_ids=_partners_of_win(sale, win, at.occurred_on),
            win_no=win.win_no,
            reversal_id=reversal_id,
            amount=amount,
            lines=_over_lines(amount, win.lines),
            remaining=win.remaining - amount,
            reason_code=reason_code,
            occurred_on=at.occurred_on,
        )
    ]


def _partners_of_win(sale: Opportunity, win: Win, day: date) -> tuple[PartnerId, ...]:
    """Whose win it is now, and whose it was where a partner has become another's since, or is no longer."""
    now = sale.partners_on(day)
    return tuple(dict.fromkeys([*now, *win.partner_ids])) if sale.mergers else now


def sold_lines(opportunity_id: str, amount: Money, products: Sequence[ProductLine]) -> tuple[SoldLine, ...]:
    """One line a registered product; the CRM gave one amount, so it is split evenly, to the minor unit."""
    sold = list(products) or [ProductLine(family="unspecified")]
    amounts = split(amount, [Decimal(1)] * len(sold))
    return tuple(
        SoldLine(
            line_id=stable_id(opportunity_id, "line", number),
            product_family=product.family,
            sku=product.sku,
            quantity=product.quantity,
            amount=part,
        )
        for number, (product, part) in enumerate(zip(sold, amounts, strict=True), start=1)
    )


def _over_lines(amount: Money, lines: Sequence[SoldLine]) -> tuple[SoldLine, ...]:
    parts = split(amount, [line.amount.amount for line in lines])
    return tuple(replace(line, amount=part) for line, part in zip(lines, parts, strict=True))


# Mergers of its partners


def follow_mergers(
    opportunity_id: OpportunityId, sale: Opportunity, mergers: Mergers, now: datetime
) -> list[OpportunityEvent]:
    """What the sale has not heard yet of its partners' mergers."""
    return [
        MergerFollowed(
            opportunity_id=opportunity_id,
            registration_id=sale.registration_id,
            partner_id=PartnerId(partner_id),
            survivor_id=merger.survivor_id,
            effective_on=merger.effective_on if merger.survivor_id else None,
            revision=merger.revision,
            followed_at=now,
        )
        for partner_id, merger in sorted(mergers.items())
        if merger.revision > sale.mergers.get(partner_id, Merger()).revision
    ]


# What the CRM should say


def with_wish(
    opportunity_id: OpportunityId, sale: Opportunity, events: Sequence[OpportunityEvent], now: datetime
) -> list[OpportunityEvent]:
    """The events, and after them the wish for new CRM fields if they change what the CRM should say."""
    after = Opportunities.fold(events, sale)
    if after.registration is None:
        return list(events)
    fields = _fields(opportunity_id, after, after.registration, now)
    digest = sha256(canonical_json(fields))
    if digest == after.wish_sha256:
        return list(events)
    wish = CrmFieldsWanted(
        opportunity_id=opportunity_id,
        fields=fields,
        creation=_creation(after.registration),
        wish_sha256=digest,
        wanted_at=now,
    )
    return [*events, wish]


def _fields(
    opportunity_id: OpportunityId, sale: Opportunity, registration: Registration, now: datetime
) -> dict[str, str]:
    ended = registration.status != "approved"
    partner_id = counted_as(registration.partner_id, sale.mergers, now.astimezone(UTC).date())
    return {
        "opportunity_id": opportunity_id,
        "registration_id": registration.registration_id,
        "registration_number": registration.number,
        "partner_id": "" if ended and registration.status not in CLOSED_BY_SALE else partner_id,
        "status": registration.status,
        "protected_until": iso(registration.protected_until),
        "partner_amount": str(registration.amount.amount),
        "partner_currency": registration.amount.currency,
        "partner_close_on": iso(registration.close_on),
    }


def _creation(registration: Registration) -> dict[str, str]:
    return {
        "name": f"{registration.account.name or 'Confidential customer'} {registration.number}",
        "amount": str(registration.amount.amount),
        "currency": registration.amount.currency,
        "close_on": iso(registration.close_on),
        "stage": PROSPECT,
    }


# Evolve


def evolve(sale: Opportunity, happened: OpportunityEvent) -> Opportunity:
    match happened:
        case OpportunityOpened():
            return _opened(sale, happened)
        case OpportunityTouched(touch=touch):
            return replace(sale, touches=(*sale.touches, touch)[-TOUCHES_MAX:])
        case RegistrationFollowed():
            return replace(sale, registration=_followed(sale.registration, happened))
        case MergerFollowed():
            return replace(sale, mergers=_merged(sale.mergers, happened))
        case CrmFieldsWanted(wish_sha256=digest):
            return replace(sale, wish_sha256=digest)
        case CrmRecordKnown(external_id=external_id):
            return replace(sale, external_id=external_id)
        case DealStageChanged() | DealReopened() | DealWon() | DealLost() | RevenueReversed():
            return _sold(sale, happened)
        case _:
            assert_never(happened)


Sold = DealStageChanged | DealReopened | DealWon | DealLost | RevenueReversed


def _sold(sale: Opportunity, happened: Sold) -> Opportunity:
    match happened:
        case DealStageChanged(to_stage=stage, amount=amount, expected_close_on=close_on):
            return replace(sale, stage=stage, amount=amount, expected_close_on=close_on)
        case DealReopened(to_stage=stage, amount=amount, expected_close_on=close_on):
            return replace(sale, stage=stage, amount=amount, expected_close_on=close_on, win=None)
        case DealWon():
            return replace(sale, stage=WON, amount=happened.amount, win=_win(happened), wins=happened.win_no)
        case DealLost():
            return replace(sale, stage=LOST, win=None)
        case RevenueReversed():
            return _reversed(sale, happened)
        case _:
            assert_never(happened)


def _opened(sale: Opportunity, opened: OpportunityOpened) -> Opportunity:
    registration = Registration(
        registration_id=opened.registration_id,
        number=opened.number,
        partner_id=opened.partner_id,
        deal_type=opened.deal_type,
        account=opened.account,
        products=opened.products,
        amount=opened.amount,
        close_on=opened.close_on,
        status="approved",
        protected_until=opened.protected_until,
    )
    return replace(
        sale,
        stage=PROSPECT,
        registration=registration,
        amount=opened.amount,
        expected_close_on=opened.close_on,
        external_id=opened.external_id,
    )


def _followed(registration: Registration | None, followed: RegistrationFollowed) -> Registration | None:
    if registration is None:
        return None
    return replace(
        registration,
        status=followed.status,
        amount=followed.amount or registration.amount,
        close_on=followed.close_on or registration.close_on,
        protected_until=_ended(registration.protected_until, followed),
    )


def _merged(mergers: Mergers, it: MergerFollowed) -> Mergers:
    merger = Merger(revision=it.revision, survivor_id=it.survivor_id, effective_on=it.effective_on or date.max)
    return {**mergers, it.partner_id: merger}


def _ended(until: datetime, followed: RegistrationFollowed) -> datetime:
    ended_at = followed.protection_ended_at
    if ended_at is None or followed.status in CLOSED_BY_SALE:
        return until
    return min(until, ended_at)


def _win(won: DealWon) -> Win:
    return Win(
        win_no=won.win_no,
        amount=won.amount,
        remaining=won.amount,
        refunded=none_of(won.amount.currency),
        lines=won.lines,
        closed_on=won.closed_on,
        cutoff_at=won.cutoff_at,
        partner_ids=won.partner_ids,
    )


def _reversed(sale: Opportunity, back: RevenueReversed) -> Opportunity:
    reversals = sale.reversals | {back.reversal_id}
    if sale.win is None:
        return replace(sale, reversals=reversals)
    left = tuple(
        replace(line, amount=line.amount - taken.amount) for line, taken in zip(sale.win.lines, back.lines, strict=True)
    )
    refunded = sale.win.refunded + back.amount if back.reason_code == REFUND else sale.win.refunded
    win = replace(sale.win, remaining=back.remaining, lines=left, refunded=refunded)
    return replace(sale, win=win, reversals=reversals)


Opportunities = Decider[Opportunity, OpportunityEvent](kind="opportunity", initial=Opportunity(), evolve=evolve)
