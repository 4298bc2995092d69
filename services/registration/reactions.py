"""What registration does by itself: keep facts on partners, close deals that the CRM decided, and move the queue.

Public events of other services come in as reactions, the own clock and the own claims as deadlines.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from chassis.application import Application, Prepared, Reaction
from chassis.deadlines import DUE_AT, Deadline
from chassis.decider import NotFound
from chassis.event import LEFT_OUT, LeftOut, Seen, stable_id
from chassis.execution import Peek
from chassis.read_store.port import TURN, Contains, each
from contracts.attribution import (
    DealLost,
    DealStageChanged,
    DealWon,
    IncumbentChanged,
    OpportunityLinked,
    OpportunityMirrored,
)
from contracts.incentives import TierChanged
from contracts.onboarding import (
    AgreementLapsed,
    AgreementSigned,
    AuthorisationEnded,
    AuthorisationGranted,
    CertifiedCountChanged,
    OffboardingCancelled,
    OffboardingStarted,
    PartnerActivated,
    PartnerOffboarded,
    PartnerProfileChanged,
    PartnerReinstated,
    PartnersMerged,
    PartnersUnmerged,
    PartnerSuspended,
)
from contracts.values import AccountId, PartnerId, RegistrationId
from services.registration.application.on_deals import Asked, Make, as_screened, on_deal, way_of
from services.registration.application.on_disputes import concluding, counts_as_whom, on_dispute
from services.registration.application.on_invitations import AskedOfInvitation, on_invitation, taking_part
from services.registration.application.on_leads import AskedOfLead, assigning, on_lead
from services.registration.application.on_partners import aliasing, aliasing_at
from services.registration.domain.capacity import ReleaseSlot, quarter_of, quarters_before
from services.registration.domain.crm_link import LINK_HOURS
from services.registration.domain.deal import PARTNER_LEFT, SUBMITTED, Deal, Status
from services.registration.domain.deal_commands import (
    CloseDeal,
    EndProtection,
    EscalateReview,
    FlagMissingLink,
    GrantExtension,
    LinkDeal,
    NoteActivity,
    PromoteDeal,
    QueueDeal,
    WarnInactivity,
    WithdrawDeal,
)
from services.registration.domain.dispute import HearDispute
from services.registration.domain.exclusion import VENDOR_DIRECT, AddExclusion, EndExclusion
from services.registration.domain.exclusive_grants import NoteExclusive
from services.registration.domain.incumbent import RecordIncumbent
from services.registration.domain.invitation import (
    DEAL_OVER,
    Answer,
    Invitation,
    LapseInvitation,
    LeaveDeal,
    RevokeInvitation,
)
from services.registration.domain.lead import EXPIRED, SUSPENDED
from services.registration.domain.lead_commands import CloseLead, DeclineLead, LapseOffers, ReclaimLead
from services.registration.domain.overlap import normal_product
from services.registration.domain.partner_facts import (
    NEW_BUSINESS,
    Certified,
    RecordCertifiedCount,
    RecordPartnerFacts,
    RecordStanding,
)
from services.registration.domain.partner_standing import Ended, Granted, Signed, StandingNews
from services.registration.domain.partner_tier import RecordPartnerTier
from services.registration.projections import due, incumbents, lead_due
from services.registration.projections.due import DueDocument, InvitationDue, MootDue, SlotDue
from services.registration.projections.lead_due import LeadDue
from services.registration.projections.lead_takers import takers
from services.registration.projections.partner_aliases import MODEL, counted_as, one_with

CLOSED_STAGES = ("won", "lost")
HELD: Mapping[str, dict[str, Any]] = {"drafts": {}, "deal_board": {"status": tuple(one.value for one in SUBMITTED)}}
"""Where the deals stand that a partner still has."""
OFFERS_MAX = 1_000
"""The most offers of one partner that are taken back when it is suspended; what is left lapses by itself."""


async def on_partner(seen: Seen, app: Application) -> None:
    """Copies what onboarding says of a partner; an older revision changes nothing."""
    told = seen.event
    command = RecordPartnerFacts(
        partner_id=told.partner_id,
        revision=told.revision,
        types=getattr(told, "types", None),
        suspended=_suspended(told),
        country=getattr(told, "country", None),
        last_business_day=getattr(told, "last_business_day", None),
        stays=isinstance(told, OffboardingCancelled),
        survivor_id=_survivor(told),
        source_event_id=seen.id,
        source_position=seen.position,
        now=app.clock.now(),
    )
    await app.react(seen, "record_partner_facts", command)
    if NEW_BUSINESS in (command.suspended or ()):
        await _decline_offers(seen, app)


async def _decline_offers(seen: Seen, app: Application) -> None:
    """Who takes no new business has no lead on offer any more: each goes on to the next."""
    partner_id = seen.event.partner_id
    where = {"status": "offered", "partner_ids": Contains(partner_id)}
    found = await app.read.find("leads", seen.tenant, where=where, limit=OFFERS_MAX)
    for lead in found.items:
        asked = AskedOfLead(lead_id=lead["lead_id"], by="registration", now=app.clock.now())

        def decline(_: Any, fields: dict[str, Any]) -> DeclineLead:
            return DeclineLead(**fields, partner_id=partner_id, reason_code=SUSPENDED)

        with suppress(NotFound):  # it is the lead's source, or its offer is over by now
            await app.react(seen, f"decline_offer {lead['lead_id']}", on_lead(asked, decline))


async def on_left(seen: Seen, app: Application) -> None:
    """Whoever has left holds nothing here any more: its open deals are withdrawn, and its protection ends.

    It takes part in no other partner's deal, and is invited to none.
    """
    await on_partner(seen, app)
    await _leave_others(seen, app)
    for model, where in HELD.items():
        await app.caught_up(model)
        mine = {"partner_id": seen.event.partner_id, **where}
        async for document in each(app.read, model, seen.tenant, mine):
            asked = Asked(registration_id=document["registration_id"], now=app.clock.now())
            await app.react(seen, f"leave {document['registration_id']}", on_deal(asked, _gone))


async def _leave_others(seen: Seen, app: Application) -> None:
    await app.caught_up("invitations")
    mine = {"partner_id": seen.event.partner_id, "status": ("pending", "accepted")}
    async for document in each(app.read, "invitations", seen.tenant, mine):
        named = document["invitation_id"]
        asked = AskedOfInvitation(invitation_id=named, by="registration", now=app.clock.now())
        make = taking_part(asked, _leaves) if document["status"] == "accepted" else on_invitation(asked, _comes_not)
        await app.react(seen, f"leave {named}", make)


def _leaves(_: Invitation, fields: dict[str, Any]) -> LeaveDeal:
    return LeaveDeal(**fields, reason_code=PARTNER_LEFT)


def _comes_not(_: Invitation, fields: dict[str, Any]) -> RevokeInvitation:
    return RevokeInvitation(**fields, reason_code=PARTNER_LEFT)


def _gone(deal: Deal, fields: dict[str, Any]) -> EndProtection | WithdrawDeal:
    if deal.status == Status.APPROVED:
        return EndProtection(**fields, reason_code=PARTNER_LEFT)
    return WithdrawDeal(**fields, reason_code=PARTNER_LEFT, by="registration")


async def on_merger(seen: Seen, app: Application) -> None:
    """Two partners became one, or are two again: from now on their claims are no rivals, or are again."""
    await on_partner(seen, app)
    await app.caught_up(MODEL)
    for partner_id in await one_with(app, seen.tenant, seen.event.absorbed_id):
        counts_as = await counted_as(app, seen.tenant, partner_id)
        whose = PartnerId(partner_id), PartnerId(counts_as) if counts_as else None
        for registration_id in await _deals_with(app, seen.tenant, partner_id):
            make = aliasing(RegistrationId(registration_id), *whose, app.clock.now())
            await app.react(seen, f"alias {partner_id} {registration_id}", make)
        for account_id in await _named_at(app, seen.tenant, partner_id):
            at = aliasing_at((account_id,), *whose, app.clock.now())
            await app.react(seen, f"alias {partner_id} at {account_id}", at)


async def _deals_with(app: Application, tenant: str, partner_id: str) -> tuple[str, ...]:
    """The deals of a partner that claim or won a customer, and those of others that it takes part in or took part in."""
    for model in ("deal_board", "invitations"):
        await app.caught_up(model)
    mine = {"partner_id": partner_id, "status": tuple(one.value for one in (*SUBMITTED, Status.CLOSED))}
    own = [one["registration_id"] async for one in each(app.read, "deal_board", tenant, mine)]
    beside = {"partner_id": partner_id, "status": (Answer.ACCEPTED.value, Answer.LEFT.value)}
    others = [one["registration_id"] async for one in each(app.read, "invitations", tenant, beside)]
    return tuple(dict.fromkeys((*own, *others)))


async def _named_at(app: Application, tenant: str, partner_id: str) -> tuple[AccountId, ...]:
    """The customers at which the vendor has named a partner as the incumbent: it need have no deal there."""
    await app.caught_up(incumbents.MODEL)
    where = {"partner_ids": Contains(partner_id)}
    return tuple([one["account_id"] async for one in each(app.read, incumbents.MODEL, tenant, where)])


def _survivor(told: Any) -> PartnerId | LeftOut | None:
    match told:
        case PartnersMerged(survivor_id=survivor_id):
            return survivor_id
        case PartnersUnmerged():
            return None
        case _:
            return LEFT_OUT


def _suspended(told: Any) -> tuple[str, ...] | None:
    match told:
        case PartnerSuspended(scopes=scopes) | PartnersUnmerged(scopes=scopes):
            return scopes
        case PartnerOffboarded() | PartnersMerged():
            return (NEW_BUSINESS,)
        case PartnerReinstated() | PartnerActivated():
            return ()
        case _:
            return None


async def on_certified_count(seen: Seen, app: Application) -> None:
    """Copies how many of a partner's people hold a certification; older news change nothing."""
    told: CertifiedCountChanged = seen.event
    certified = Certified(
        certification=told.certification,
        count=told.count,
        effective_on=told.effective_on,
        event_id=seen.id,
        position=seen.position,
    )
    command = RecordCertifiedCount(partner_id=told.partner_id, certified=certified, now=app.clock.now())
    await app.react(seen, "record_certified_count", command)


async def on_standing(seen: Seen, app: Application) -> None:
    """Copies what a partner has signed or is authorised for, and when that ends; older news change nothing."""
    command = RecordStanding(partner_id=seen.event.partner_id, news=_standing(seen), now=app.clock.now())
    await app.react(seen, "record_standing", command)
    if isinstance(seen.event, AuthorisationGranted) and seen.event.exclusive:
        for product in dict.fromkeys(map(normal_product, seen.event.products)):
            noted = NoteExclusive(product=product, partner_id=seen.event.partner_id, now=app.clock.now())
            await app.react(seen, f"note_exclusive {product}", noted)


def _standing(seen: Seen) -> StandingNews:
    told = seen.event
    source: dict[str, Any] = {"event_id": seen.id, "position": seen.position}
    match told:
        case AgreementSigned():
            return StandingNews(signed=Signed(**_named(told, Signed), **source))
        case AuthorisationGranted():
            return StandingNews(granted=Granted(**_named(told, Granted), **source))
        case _:
            of = told.agreement_id if isinstance(told, AgreementLapsed) else told.authorisation_id
            return StandingNews(ended=Ended(of=of, effective_on=told.effective_on, **source))


def _named(told: Any, cls: type[Any]) -> dict[str, Any]:
    """What the event says of the fields of a fact."""
    return {one.name: getattr(told, one.name) for one in fields(cls) if hasattr(told, one.name)}


async def on_tier(seen: Seen, app: Application) -> None:
    """Copies in which tier a partner is; older news change nothing."""
    told: TierChanged = seen.event
    command = RecordPartnerTier(
        partner_id=told.partner_id,
        programme=told.programme,
        level=told.to_level,
        effective_on=told.effective_on,
        source_event_id=seen.id,
        source_position=seen.position,
        now=app.clock.now(),
    )
    await app.react(seen, "record_partner_tier", command)


async def on_result(seen: Seen, app: Application) -> None:
    """Closes the deal that was won or lost; a sale that nobody registered concerns nobody here."""
    told: DealWon | DealLost = seen.event
    if told.registration_id is None:
        return
    result = "won" if isinstance(told, DealWon) else "lost"

    def close(deal: Deal, fields: dict[str, Any]) -> CloseDeal:
        source: dict[str, Any] = {"opportunity_id": told.opportunity_id, "source_event_id": seen.id}
        return CloseDeal(**fields, result=result, **source, partner_id=deal.partner_id)

    await app.react(
        seen, "close_deal", on_deal(Asked(registration_id=told.registration_id, now=app.clock.now()), close)
    )


async def on_stage(seen: Seen, app: Application) -> None:
    """A sale that moves is a sign that its partner works on the customer."""
    told: DealStageChanged = seen.event
    if told.registration_id is None:
        return

    def note(_: Any, fields: dict[str, Any]) -> NoteActivity:
        return NoteActivity(**fields, kind="stage", source_event_id=seen.id)

    asked = Asked(registration_id=told.registration_id, now=app.clock.now())
    await app.react(seen, "note_activity", on_deal(asked, note))


async def on_link(seen: Seen, app: Application) -> None:
    """The CRM has the sale of a deal."""
    told: OpportunityLinked = seen.event

    def link(_: Deal, fields: dict[str, Any]) -> LinkDeal:
        sale: dict[str, Any] = {"opportunity_id": told.opportunity_id, "external_id": told.external_id}
        return LinkDeal(**fields, **sale, source_event_id=seen.id)

    asked = Asked(registration_id=told.registration_id, now=app.clock.now())
    await app.react(seen, "link_deal", on_deal(asked, link))


async def on_incumbent(seen: Seen, app: Application) -> None:
    """Copies whom the vendor named as who sold something to a customer before, into the line of that customer."""
    told: IncumbentChanged = seen.event

    async def make(peek: Peek) -> RecordIncumbent:
        *through, account_id = await way_of(peek, told.account_id)
        return RecordIncumbent(
            account_id=account_id,
            product_family=told.product_family,
            partner_id=told.partner_id,
            counts_as=await counts_as_whom(peek, told.partner_id) if told.partner_id else LEFT_OUT,
            until_on=told.until_on or LEFT_OUT,
            source_event_id=seen.id,
            source_position=seen.position,
            now=app.clock.now(),
            through=tuple(through) or LEFT_OUT,
        )

    await app.react(seen, "record_incumbent", make)


async def on_opportunity(seen: Seen, app: Application) -> None:
    """What the vendor sells directly is excluded for partners while it is open; a partner's own sale never is."""
    told: OpportunityMirrored = seen.event
    if not told.direct or told.registration_id is not None or told.customer.domain is None:
        return
    named: dict[str, Any] = {
        "target": f"domain:{told.customer.domain}",
        "exclusion_id": told.opportunity_id,
        "by": "attribution",
    }
    command: AddExclusion | EndExclusion
    if told.stage in CLOSED_STAGES:
        command = EndExclusion(**named, now=app.clock.now())
    else:
        day, kind = told.opened_on, VENDOR_DIRECT
        command = AddExclusion(**named, kind=kind, from_on=day, source_event_id=seen.id, now=app.clock.now())
    await app.react(seen, "vendor_direct", command)


REACTIONS: Mapping[type[Any], Reaction] = {
    PartnerActivated: on_partner,
    PartnerProfileChanged: on_partner,
    PartnerSuspended: on_partner,
    OffboardingStarted: on_partner,
    OffboardingCancelled: on_partner,
    PartnerOffboarded: on_left,
    PartnersMerged: on_merger,
    PartnersUnmerged: on_merger,
    PartnerReinstated: on_partner,
    CertifiedCountChanged: on_certified_count,
    **dict.fromkeys((AgreementSigned, AgreementLapsed, AuthorisationGranted, AuthorisationEnded), on_standing),
    TierChanged: on_tier,
    DealStageChanged: on_stage,
    OpportunityLinked: on_link,
    OpportunityMirrored: on_opportunity,
    DealWon: on_result,
    DealLost: on_result,
    IncumbentChanged: on_incumbent,
}


# Deadlines


def _end(document: DueDocument, now: datetime) -> Make:
    return on_deal(_asked(document, now), lambda _, fields: EndProtection(**fields))


def _grant(document: DueDocument, now: datetime) -> Make:
    return on_deal(_asked(document, now), lambda _, fields: GrantExtension(**fields))


def _warn(document: DueDocument, now: datetime) -> Make:
    return on_deal(_asked(document, now), lambda _, fields: WarnInactivity(**fields))


def _screening(command: type[Any]) -> Callable[[Any, datetime], Make]:
    def issue(document: Any, now: datetime) -> Make:
        told = (document[name] for name in ("registration_id", DUE_AT, TURN) if name in document)
        screening_id = stable_id(command.type, *told)
        return as_screened(_asked(document, now), command, screening_id)

    return issue


def _free(document: SlotDue, now: datetime) -> ReleaseSlot:
    """Gives the slot back in the quarter that it was taken in, and in those that opened with it."""
    quarters = (quarter_of(now), *quarters_before(quarter_of(now)))
    last = quarters.index(document["quarter"]) if document["quarter"] in quarters else len(quarters)
    return ReleaseSlot(
        partner_id=PartnerId(document["partner_id"]),
        registration_id=RegistrationId(document["registration_id"]),
        quarters=quarters[: last + 1],
        now=now,
    )


def _asked(document: DueDocument, now: datetime) -> Asked:
    return Asked(registration_id=document["registration_id"], now=now)


def _withdraw(document: DueDocument, now: datetime) -> Make:
    """Ends a deal that its partner was asked to correct and did not."""
    due_at = datetime.fromisoformat(document["due_at"] or "")

    def make(_: Any, fields: dict[str, Any]) -> WithdrawDeal:
        return WithdrawDeal(**fields, reason_code="no-answer", unanswered_since=due_at, by="registration")

    return on_deal(_asked(document, now), make)


def _lapse(document: InvitationDue, now: datetime) -> Make:
    asked = AskedOfInvitation(invitation_id=document["invitation_id"], by="registration", now=now)
    return on_invitation(asked, lambda _, fields: LapseInvitation(**fields))


def _take_back(document: MootDue, now: datetime) -> Make:
    """Takes one invitation back whose deal is over; the next one is due after it."""
    asked = AskedOfInvitation(invitation_id=document["pending"][0], by="registration", now=now)
    return on_invitation(asked, lambda _, fields: RevokeInvitation(**fields, reason_code=DEAL_OVER))


def _flag(document: DueDocument, now: datetime) -> Make:
    approved_at = datetime.fromisoformat(document["due_at"] or "") - timedelta(hours=LINK_HOURS)
    return on_deal(_asked(document, now), lambda _, fields: FlagMissingLink(**fields, approved_at=approved_at))


def _hear(document: DueDocument, now: datetime) -> Make:
    return on_dispute(_asked(document, now), lambda fields: HearDispute(**fields))


def _conclude(document: DueDocument, now: datetime) -> Make:
    screening_id = stable_id("conclude", document["registration_id"], document["due_at"])
    return concluding(_asked(document, now), screening_id)


def _on_lead(command: type[Any]) -> Callable[[LeadDue, datetime], Make]:
    def issue(document: LeadDue, now: datetime) -> Make:
        return on_lead(_asked_of_lead(document, now), lambda _, fields: command(**fields))

    return issue


def _asked_of_lead(document: LeadDue, now: datetime) -> AskedOfLead:
    return AskedOfLead(lead_id=document["lead_id"], by="registration", now=now)


def _assign(document: LeadDue, now: datetime) -> Prepared:
    """Offers an open lead to the next."""
    asked = _asked_of_lead(document, now)

    async def make(app: Application, tenant: str, peek: Peek) -> Any:
        return await assigning(asked, partial(takers, app.read, tenant))(peek)

    return Prepared(make)


def _expire(document: LeadDue, now: datetime) -> Make:
    ended = datetime.fromisoformat(document["due_at"] or "")

    def close(_: Any, fields: dict[str, Any]) -> CloseLead:
        return CloseLead(**fields, reason_code=EXPIRED, ended=ended)

    return on_lead(_asked_of_lead(document, now), close)


DEADLINES = (
    Deadline(name="lead_offers", version=2, keys=lead_due.OFFERS, evolve=lead_due.offers_due, issue=_assign),
    Deadline(
        name="lead_answers", version=2, keys=lead_due.ANSWERS, evolve=lead_due.answers_due, issue=_on_lead(LapseOffers)
    ),
    Deadline(name="lead_words", version=2, keys=lead_due.WORDS, evolve=lead_due.words_due, issue=_on_lead(ReclaimLead)),
    Deadline(name="lead_pools", version=2, keys=lead_due.POOLS, evolve=lead_due.pool_ends, issue=_expire),
    Deadline(name="protection_ends", version=2, keys=due.PROTECTIONS, evolve=due.protection_ends, issue=_end),
    Deadline(name="extensions_due", version=1, keys=due.EXTENSIONS, evolve=due.extensions_due, issue=_grant),
    Deadline(
        name="idle_warnings",
        version=1,
        keys=due.IDLE_UNWARNED,
        evolve=due.idle_warnings,
        issue=_warn,
    ),
    Deadline(name="idle_ends", version=1, keys=due.IDLE, evolve=due.idle_ends, issue=_end),
    Deadline(
        name="review_limits", version=1, keys=due.REVIEWS, evolve=due.review_limits, issue=_screening(EscalateReview)
    ),
    Deadline(name="answers_due", version=1, keys=due.ANSWERS, evolve=due.answers_due, issue=_withdraw),
    Deadline(name="invitations_due", version=1, keys=due.INVITATIONS, evolve=due.invitations_due, issue=_lapse),
    Deadline(name="invitations_moot", version=1, keys=due.MOOT, evolve=due.invitations_moot, issue=_take_back),
    Deadline(name="links_due", version=1, keys=due.LINKS, evolve=due.links_due, issue=_flag),
    Deadline(name="hearings", version=1, keys=due.HEARINGS, evolve=due.hearings, issue=_hear),
    Deadline(name="conclusions", version=1, keys=due.CONCLUSIONS, evolve=due.conclusions, issue=_conclude),
    Deadline(name="slots_over", version=1, keys=due.SLOTS, evolve=due.slots_over, issue=_free),
    Deadline(name="moves_up", version=3, keys=due.MOVES_UP, evolve=due.moves, issue=_screening(PromoteDeal)),
    Deadline(name="moves_back", version=3, keys=due.MOVES_BACK, evolve=due.moves, issue=_screening(QueueDeal)),
)
