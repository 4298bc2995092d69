"""What registration tells: leads, deals, their review, their protection, and conflicts between them."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar

from msgspec import UNSET, UnsetType

from chassis.event import PublicEvent, public_event
from contracts.values import (
    AccountId,
    AccountRef,
    Effect,
    Entitlement,
    Money,
    OpportunityId,
    Participant,
    PartnerId,
    ProductLine,
    RegistrationId,
    RuleRef,
    ShownDocument,
    Span,
)

Told = TypeVar("Told", bound=PublicEvent)
WITHHELD_AS: dict[str, tuple[str, Any]] = {
    "reasons": ("reason_codes", ()),
    "place": ("place", 0),
    "free_from": ("free_from", None),
    "appeal_until": ("appeal_until", None),
}
"""What rules may keep from a deal's partner: the field, and what stands there for it. `withheld` names what is kept."""


def _as_told(it: Told, withheld: tuple[str, ...] | UnsetType) -> Told:
    """The event without what the programme's rules keep from the deal's own partner."""
    hidden = dict(WITHHELD_AS[name] for name in withheld or () if name in WITHHELD_AS)
    return replace(it, **{name: nothing for name, nothing in hidden.items() if hasattr(it, name)})  # type: ignore[type-var]


@public_event("entente.registration.DealRegistered.v1", audience="both")
class DealRegistered(PublicEvent):
    """A partner claims a customer for products in a role. Deal type: new, expansion or renewal; scope: site, entity, group.

    `replaces` is its partner's deal that ends when this one is approved. Of a customer that is not named here (the deal is
    `confidential`, or it is a person) no reference, tender or document is told: they may say who it is.
    """

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    role: str
    deal_type: str
    account: AccountRef
    participants: tuple[Participant, ...]
    products: tuple[ProductLine, ...]
    amount: Money
    close_on: date
    territory: str | None = None
    lead_id: str | None = None
    rules: RuleRef
    submitted_at: datetime
    scope: str | UnsetType = UNSET
    tender: str | UnsetType = UNSET
    tender_on: date | UnsetType | None = UNSET
    partner_reference: str | UnsetType | None = UNSET
    price_reference: str | UnsetType | None = UNSET
    fund_reference: str | UnsetType | None = UNSET
    crm_reference: str | UnsetType | None = UNSET
    confidential: bool | UnsetType = UNSET
    replaces: RegistrationId | UnsetType | None = UNSET
    evidence: tuple[ShownDocument, ...] | UnsetType = UNSET

    def for_partner(self, partner_id: str) -> "DealRegistered | None":
        """As for its partner, with no other participant named."""
        mine = tuple(known for known in self.participants if known.partner_id == partner_id)
        return replace(self, participants=mine) if partner_id == self.partner_id else None


@public_event("entente.registration.DealReturned.v1", audience="both")
class DealReturned(PublicEvent):
    """The vendor asks the partner to correct the named fields."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    fields: tuple[str, ...]
    due_at: datetime | None = None
    returned_at: datetime


@public_event("entente.registration.DealResubmitted.v1", audience="both")
class DealResubmitted(PublicEvent):
    """The partner has corrected what was asked; the rest is what stands now."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    fields: tuple[str, ...]
    resubmitted_at: datetime
    amount: Money | UnsetType = UNSET
    close_on: date | UnsetType = UNSET
    tender: str | UnsetType = UNSET
    tender_on: date | UnsetType | None = UNSET
    partner_reference: str | UnsetType | None = UNSET
    price_reference: str | UnsetType | None = UNSET
    fund_reference: str | UnsetType | None = UNSET
    crm_reference: str | UnsetType | None = UNSET
    evidence: tuple[ShownDocument, ...] | UnsetType = UNSET


@public_event("entente.registration.DealQueued.v1", audience="both")
class DealQueued(PublicEvent):
    """A rival holds what this deal asks for, or is ahead. `free_from` is the day the customer may become free.

    `place` counts from 1. `withheld` names what the programme's rules keep from the partner: there `place` is 0.
    """

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    place: int
    free_from: date | None = None
    queued_at: datetime
    withheld: tuple[str, ...] | UnsetType = UNSET

    def for_partner(self, partner_id: str) -> "DealQueued | None":
        """As for its partner, without what the rules keep from it."""
        return _as_told(self, self.withheld) if partner_id == self.partner_id else None


@public_event("entente.registration.DealPromoted.v1", audience="both")
class DealPromoted(PublicEvent):
    """What blocked the deal is gone: it is in review again, `due_at` says until when."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    due_at: datetime | None = None
    promoted_at: datetime


@public_event("entente.registration.DealApproved.v1", audience="both")
class DealApproved(PublicEvent):
    """The vendor agrees; the partner is protected for `protection`. Basis: the priority rule that decided."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    role: str
    deal_type: str
    account: AccountRef
    participants: tuple[Participant, ...]
    products: tuple[ProductLine, ...]
    amount: Money
    close_on: date
    territory: str | None = None
    lead_id: str | None = None
    external_id: str | None = None
    rules: RuleRef
    submitted_at: datetime
    protection: Span
    exclusive: bool
    basis: str
    approved_at: datetime
    entitlement: Entitlement | UnsetType = UNSET

    def for_partner(self, partner_id: str) -> "DealApproved | None":
        """As for its partner, with no other participant named."""
        mine = tuple(known for known in self.participants if known.partner_id == partner_id)
        return replace(self, participants=mine) if partner_id == self.partner_id else None


@public_event("entente.registration.DealRejected.v1", audience="both")
class DealRejected(PublicEvent):
    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    reason_codes: tuple[str, ...]
    appeal_until: datetime | None = None
    rejected_at: datetime
    withheld: tuple[str, ...] | UnsetType = UNSET

    def for_partner(self, partner_id: str) -> "DealRejected | None":
        """As for its partner, without what the rules keep from it."""
        return _as_told(self, self.withheld) if partner_id == self.partner_id else None


@public_event("entente.registration.DealRevoked.v1", audience="both")
class DealRevoked(PublicEvent):
    """The vendor took the protection away; until `appeal_until` the partner may dispute it.

    `evidence` are the documents that two approvers rest it on; its partner does not hear of them.
    """

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    reason_codes: tuple[str, ...]
    appeal_until: datetime | None = None
    revoked_at: datetime
    withheld: tuple[str, ...] | UnsetType = UNSET
    evidence: tuple[ShownDocument, ...] | UnsetType = UNSET

    def for_partner(self, partner_id: str) -> "DealRevoked | None":
        """As for its partner, without the documents and what the rules keep from it."""
        return _as_told(replace(self, evidence=UNSET), self.withheld) if partner_id == self.partner_id else None


@public_event("entente.registration.ReviewOverdue.v1", audience="vendor")
class ReviewOverdue(PublicEvent):
    """The vendor has had a deal for longer than its rules allow. Action: escalated (to `roles`) or approved."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    kind: str
    roles: tuple[str, ...]
    due_at: datetime
    minutes: int
    action: str
    overdue_at: datetime


@public_event("entente.registration.DealAmended.v1", audience="both")
class DealAmended(PublicEvent):
    """What may change of an approved deal, as it stands now."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    amount: Money
    close_on: date
    amended_at: datetime
    tender: str | UnsetType = UNSET
    tender_on: date | UnsetType | None = UNSET
    partner_reference: str | UnsetType | None = UNSET
    price_reference: str | UnsetType | None = UNSET
    fund_reference: str | UnsetType | None = UNSET
    crm_reference: str | UnsetType | None = UNSET
    evidence: tuple[ShownDocument, ...] | UnsetType = UNSET


@public_event("entente.registration.DisputeOpened.v1", audience="both")
class DisputeOpened(PublicEvent):
    """A partner contests what was decided on its deal, or two hold the same since two customers turned out to be one.

    With `invitation_id` it is over the hold of a partner that takes part in the deal, and `partner_id` is that one.
    """

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    kind: str
    opened_at: datetime
    invitation_id: str | UnsetType = UNSET


@public_event("entente.registration.DisputeDecided.v1", audience="both")
class DisputeDecided(PublicEvent):
    """Outcomes: upheld, overturned, split, letter_required, no_protection. Its effects count once it is final.

    With `invitation_id` it was over the hold of a partner that takes part in the deal, and `partner_id` is that one.
    """

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    outcome: str
    effects: tuple[Effect, ...] = ()
    final: bool
    decided_at: datetime
    invitation_id: str | UnsetType = UNSET

    def for_partner(self, partner_id: str) -> "DisputeDecided | None":
        """As for the one who filed it, without what others got."""
        mine = tuple(one for one in self.effects if one.partner_id == partner_id)
        return replace(self, effects=mine) if partner_id == self.partner_id else None


@public_event("entente.registration.OrderRecorded.v1", audience="both")
class OrderRecorded(PublicEvent):
    """A distributor booked an order for this deal. `distributor_id` is that partner, where it was told since it stands here."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    order_ref: str
    amount: Money
    ordered_on: date
    recorded_at: datetime
    distributor_id: PartnerId | UnsetType = UNSET

    def partners(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.partner_id, self.distributor_id or self.partner_id)))


@public_event("entente.registration.ParticipantJoined.v1", audience="both")
class ParticipantJoined(PublicEvent):
    """An invited partner takes part in another one's deal. Role: distribute, resell or service.

    `partner_id` is who joined. Its claim stands until `held_until`; it is absent while the deal is not approved yet: then
    DealApproved names its participants.
    """

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    role: str
    invitation_id: str
    held_until: datetime | None = None
    joined_at: datetime


@public_event("entente.registration.ParticipantLeft.v1", audience="both")
class ParticipantLeft(PublicEvent):
    """A participant takes part no more. `deal_over`: the whole deal ended, as its own events say.

    Reason codes: left, removed, partner-left, role-held, dispute-overturned; with `deal_over` that of the deal's end.
    """

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    role: str
    invitation_id: str
    reason_code: str
    deal_over: bool
    left_at: datetime


@public_event("entente.registration.DealWithdrawn.v1", audience="both")
class DealWithdrawn(PublicEvent):
    """The deal is taken back. `into` is the deal of the same partner that goes on for it, where it was a duplicate."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    reason_code: str
    withdrawn_at: datetime
    into: RegistrationId | UnsetType = UNSET


@public_event("entente.registration.ProtectionExtended.v1", audience="both")
class ProtectionExtended(PublicEvent):
    """The hold lasts until `new_end`."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    old_end: datetime
    new_end: datetime
    extended_at: datetime


@public_event("entente.registration.ProtectionEnded.v1", audience="both")
class ProtectionEnded(PublicEvent):
    """The hold is over. Reason codes: expired, withdrawn, won, lost, revoked, inactive, partner-left."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    reason_code: str
    ended_at: datetime


@public_event("entente.registration.ConflictDetected.v1", audience="both")
class ConflictDetected(PublicEvent):
    """A rival's claim meets this deal. It names no rival. Class: identical, related, probable, possible or weak.

    `told_class` is what the deal's partner reads as its class, where that is another one.
    """

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    screening_id: str
    conflict_class: str
    outcome: str
    free_from: date | None = None
    detected_at: datetime
    withheld: tuple[str, ...] | UnsetType = UNSET
    told_class: str | UnsetType = UNSET

    def for_partner(self, partner_id: str) -> "ConflictDetected | None":
        """As for its partner, without what the rules keep from it, and with the class that it is told."""
        if partner_id != self.partner_id:
            return None
        told = replace(self, conflict_class=self.told_class or self.conflict_class, told_class=UNSET)
        return _as_told(told, self.withheld)


@public_event("entente.registration.AccountsMerged.v1", audience="vendor")
class AccountsMerged(PublicEvent):
    """Two end customers turned out to be one: `absorbed_id` goes on as `survivor_id`, until a split says otherwise."""

    merge_id: str
    survivor_id: AccountId
    absorbed_id: AccountId
    merged_at: datetime


@public_event("entente.registration.AccountsSplit.v1", audience="vendor")
class AccountsSplit(PublicEvent):
    """A merge was taken back: `absorbed_id` is a customer of its own again."""

    merge_id: str
    survivor_id: AccountId
    absorbed_id: AccountId
    split_at: datetime


@public_event("entente.registration.LeadSubmitted.v1", audience="both")
class LeadSubmitted(PublicEvent):
    """Somebody may want to buy. `gate` are the rules that hold it back; `partner_id` is who brought it, if a partner did.

    Direction: inbound (from a partner to the vendor), outbound (from the vendor to a partner), peer. `role` is the one in
    which whoever takes it would work on the customer, where it names one and was told since it stands here.
    """

    lead_id: str
    number: str
    programme: str
    partner_id: PartnerId | None = None
    direction: str
    source: str
    country: str
    families: tuple[str, ...] = ()
    tracking_code: str | None = None
    gate: tuple[str, ...] = ()
    submitted_at: datetime
    role: str | UnsetType = UNSET


@public_event("entente.registration.LeadAssigned.v1", audience="both")
class LeadAssigned(PublicEvent):
    """A lead is offered until `due_at`: to the partner, or to the vendor where there is none."""

    lead_id: str
    number: str
    programme: str
    partner_id: PartnerId | None = None
    round: int
    strategy: str
    rules: RuleRef
    due_at: datetime
    assigned_at: datetime


@public_event("entente.registration.LeadAccepted.v1", audience="both")
class LeadAccepted(PublicEvent):
    """Somebody has the lead, so many minutes after it was offered."""

    lead_id: str
    number: str
    programme: str
    partner_id: PartnerId | None = None
    minutes: int
    due_at: datetime
    accepted_at: datetime


@public_event("entente.registration.LeadDeclined.v1", audience="both")
class LeadDeclined(PublicEvent):
    """The partner does not take it. Reason code `no-answer`: its time was over."""

    lead_id: str
    number: str
    programme: str
    partner_id: PartnerId | None = None
    reason_code: str
    declined_at: datetime


@public_event("entente.registration.LeadReturned.v1", audience="both")
class LeadReturned(PublicEvent):
    """The partner had it and has it no more. Reason codes `no-contact`, `no-update`: nothing was heard of it in time."""

    lead_id: str
    number: str
    programme: str
    partner_id: PartnerId | None = None
    reason_code: str
    returned_at: datetime


@public_event("entente.registration.LeadConverted.v1", audience="both")
class LeadConverted(PublicEvent):
    """A deal came of it, or an opportunity of the vendor."""

    lead_id: str
    number: str
    programme: str
    partner_id: PartnerId | None = None
    registration_id: RegistrationId | None = None
    opportunity_id: OpportunityId | None = None
    converted_at: datetime


@public_event("entente.registration.LeadClosed.v1", audience="both")
class LeadClosed(PublicEvent):
    """It is over. Reason codes: duplicate, unqualified, lost, withdrawn, expired."""

    lead_id: str
    number: str
    programme: str
    partner_id: PartnerId | None = None
    reason_code: str
    closed_at: datetime
