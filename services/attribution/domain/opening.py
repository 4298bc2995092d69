"""What an approved registration brings: a sale, a touch for each partner in it, credit, and a wish for a CRM record."""

from collections.abc import Sequence
from datetime import date, datetime

from chassis.event import command
from chassis.rulebook import Rulebook
from contracts.values import AccountRef, Money, OpportunityId, PartnerId, ProductLine, RegistrationId
from services.attribution.domain.credit import Credit, CreditEvent
from services.attribution.domain.crediting import allocate_all, follow_pools, policy_in_force, sale_of
from services.attribution.domain.merger import Merger
from services.attribution.domain.opportunity import (
    Opportunities,
    Opportunity,
    OpportunityEvent,
    OpportunityOpened,
    OpportunityTouched,
    RegistrationFollowed,
    follow_mergers,
    with_wish,
)
from services.attribution.domain.touch import RecordTouch, Touch, TouchEvent, fact_of, record_touch

# Commands


@command("attribution.OpenOpportunity.v1")
class OpenOpportunity:
    """`touches` are those that the registration itself is; `pools` those of the policy in force.

    `merged` are the partners of it that were ever absorbed, and those with whom they are one.
    """

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
    touches: tuple[RecordTouch, ...]
    pools: tuple[str, ...]
    policy_id: str
    now: datetime
    merged: tuple[PartnerId, ...] = ()


@command("attribution.FollowMerger.v1")
class FollowMerger:
    """A partner of the sale was absorbed, or stands for itself again. `pools` are those that have credit."""

    opportunity_id: OpportunityId
    merged: tuple[PartnerId, ...]
    pools: tuple[str, ...]
    policy_id: str
    undone: bool
    now: datetime


@command("attribution.FollowRegistration.v1")
class FollowRegistration:
    """Status: None leaves it as it is."""

    opportunity_id: OpportunityId
    registration_id: RegistrationId
    status: str | None = None
    amount: Money | None = None
    close_on: date | None = None
    protection_ended_at: datetime | None = None
    now: datetime


Opened = tuple[list[OpportunityEvent], list[list[TouchEvent]], list[list[CreditEvent]]]
Followed = tuple[list[OpportunityEvent], list[list[CreditEvent]]]
Touched = tuple[list[OpportunityEvent], list[TouchEvent], list[list[CreditEvent]]]

# Decisions


def open_opportunity(
    wish: OpenOpportunity,
    sale: Opportunity,
    touches: Sequence[Touch],
    credits: Sequence[Credit],
    book: Rulebook,
    mergers: Sequence[Merger] = (),
) -> Opened:
    """Opens the sale once, with its touches and provisional credit, and wishes for a CRM record."""
    if sale.stage is not None:
        return [], [[] for _ in touches], [[] for _ in credits]
    recorded = [record_touch(one, touch) for one, touch in zip(wish.touches, touches, strict=True)]
    attached = [_attached(happened) for each in recorded for happened in each]
    heard = follow_mergers(wish.opportunity_id, sale, dict(zip(wish.merged, mergers, strict=True)), wish.now)
    events = with_wish(wish.opportunity_id, sale, [_opened(wish), *attached, *heard], wish.now)
    after = Opportunities.fold(events, sale)
    policy = policy_in_force(book, wish.now)
    return events, recorded, allocate_all(wish.opportunity_id, after, wish.pools, credits, policy, wish.now)


def touch_opportunity(
    wish: RecordTouch,
    sale: Opportunity,
    touch: Touch,
    credits: Sequence[Credit],
    book: Rulebook,
    mergers: Sequence[Merger] = (),
) -> Touched:
    """Records one touch and lets it count at once. Before the sale is opened the touch waits for it."""
    recorded = record_touch(wish, touch)
    events: list[OpportunityEvent] = [_attached(happened) for happened in recorded]
    if recorded:
        events += follow_mergers(wish.opportunity_id, sale, dict(zip(wish.merged, mergers, strict=True)), wish.now)
    after = Opportunities.fold(events, sale)
    if not recorded or after.stage is None:
        return events, recorded, [[] for _ in credits]
    policy = policy_in_force(book, wish.now)
    return events, recorded, allocate_all(wish.opportunity_id, after, wish.pools, credits, policy, wish.now)


def follow_merger(
    wish: FollowMerger, sale: Opportunity, credits: Sequence[Credit], book: Rulebook, mergers: Sequence[Merger]
) -> Followed:
    """The sale, and the credit in it, go on under the name that counts now. Twice is nothing."""
    heard = follow_mergers(wish.opportunity_id, sale, dict(zip(wish.merged, mergers, strict=True)), wish.now)
    events = with_wish(wish.opportunity_id, sale, heard, wish.now) if heard else []
    after = Opportunities.fold(events, sale)
    now = sale_of(wish.opportunity_id, after, wish.now)
    return events, follow_pools(now, wish.pools, credits, book, undone=wish.undone)


def follow_registration(wish: FollowRegistration, sale: Opportunity) -> list[OpportunityEvent]:
    """Takes over what changed in the registration. Twice, or without a sale, is nothing."""
    registration = sale.registration
    if registration is None:
        return []
    followed = RegistrationFollowed(
        opportunity_id=wish.opportunity_id,
        registration_id=wish.registration_id,
        status=wish.status or registration.status,
        amount=wish.amount,
        close_on=wish.close_on,
        protection_ended_at=wish.protection_ended_at,
        followed_at=wish.now,
    )
    if Opportunities.fold([followed], sale) == sale:
        return []
    return with_wish(wish.opportunity_id, sale, [followed], wish.now)


def _opened(wish: OpenOpportunity) -> OpportunityOpened:
    return OpportunityOpened(
        opportunity_id=wish.opportunity_id,
        registration_id=wish.registration_id,
        number=wish.number,
        programme=wish.programme,
        partner_id=wish.partner_id,
        deal_type=wish.deal_type,
        account=wish.account,
        products=wish.products,
        amount=wish.amount,
        close_on=wish.close_on,
        protected_until=wish.protected_until,
        external_id=wish.external_id,
        opened_at=wish.now,
    )


def _attached(recorded: TouchEvent) -> OpportunityTouched:
    return OpportunityTouched(
        opportunity_id=recorded.opportunity_id,  # type: ignore[arg-type]
        registration_id=recorded.registration_id,
        touch=fact_of(recorded),
    )
