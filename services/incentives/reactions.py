"""What incentives does when the others tell it something: sales are recorded, payees opened, the books kept."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from chassis.application import Application, Reaction
from chassis.event import LEFT_OUT, Seen, iso
from chassis.execution import Peek
from contracts.attribution import CreditAllocated, DealWon, RevenueReversed, SoldLine
from contracts.gateway import TenantOpened
from contracts.onboarding import (
    CertifiedCountChanged,
    MembershipEnded,
    MembershipStarted,
    OffboardingCancelled,
    OffboardingStarted,
    PartnerActivated,
    PartnerOffboarded,
    PartnerProfileChanged,
    PartnerReinstated,
    PartnersMerged,
    PartnersUnmerged,
    PartnerSuspended,
    PersonForgotten,
)
from contracts.registration import (
    DealApproved,
    DealRegistered,
    DealRejected,
    DealRevoked,
    DealWithdrawn,
    LeadConverted,
    OrderRecorded,
    ParticipantJoined,
    ParticipantLeft,
)
from services.incentives.application.achieving import Unsold, achieved, again, currencies_paid, gone, kept_as
from services.incentives.application.employing import EMPLOYER_SUSPENDED, people_of
from services.incentives.application.measuring import figures_now, metrics_of
from services.incentives.application.ordering import WonDeal, ordered, won_of
from services.incentives.application.sales import FactCommand, prepared, rules_of_kind
from services.incentives.domain.approval import (
    Approval,
    Approvals,
    DealEndRecorded,
    NameCustomer,
    NoteOrder,
    RecordApproval,
    RecordDealEnd,
    RecordParty,
)
from services.incentives.domain.books import OpenBooks
from services.incentives.domain.dues import PARTY_OF_ROLE
from services.incentives.domain.merging import MergePayee, UnmergePayee
from services.incentives.domain.payee import PAYOUTS, Payee, Payees
from services.incentives.domain.payee_commands import (
    EmployPerson,
    ForgetPayee,
    LetPersonGo,
    OpenPayee,
    RecordCertified,
    RecordStanding,
    ReinstatePayee,
    SuspendPayee,
)
from services.incentives.domain.payee_events import StandingField
from services.incentives.domain.plan import UNSOLD
from services.incentives.domain.rating import Sold
from services.incentives.domain.recognition import (
    Recognitions,
    RecordAchievement,
    TakeBackAchievement,
    recognition_id,
)
from services.incentives.domain.recognition_rules import RECOGNITION, Achievement
from services.incentives.domain.sale_commands import RecordCredit, RecordReversal, RecordWin
from services.incentives.domain.settlement import KeepPayee, LetPayeeLeave, NoteSettledByHand
from services.incentives.domain.taking import Part
from services.incentives.domain.tier import RecordTierMetric
from services.incentives.domain.tier_rules import ANY_DAY, CERTIFIED, MetricFact

FINAL = "final"
YEARS_BACK = 3
"""How many years an achievement is looked for when it is taken back."""


async def on_deal_won(seen: Seen, app: Application) -> None:
    """A win is a fact of its sale; it pays once its credit is final."""
    await _record(seen, app, "record_win", win_of(seen, app.clock.now()))
    await _orders_of_win(seen, app, seen.event)
    await _measure_sale(seen, app)
    won: DealWon = seen.event
    if not won.backfill:
        await _recognise(seen, app, Achieved("deal_won", _win_ref(won), won.partner_ids, won.closed_on))


async def on_credit_allocated(seen: Seen, app: Application) -> None:
    """Only final credit pays."""
    if seen.event.status == FINAL:
        await _record(seen, app, "record_credit", credit_of(seen, app.clock.now()))
        await _measure_sale(seen, app)


async def on_revenue_reversed(seen: Seen, app: Application) -> None:
    """What was earned on that part of the sale is taken back."""
    await _record(seen, app, "record_reversal", reversal_of(seen, app.clock.now()))
    await _measure_sale(seen, app)
    taken: RevenueReversed = seen.event
    if taken.remaining.zero:
        gone = Achieved("deal_won", _win_ref(taken), taken.partner_ids, taken.occurred_on)
        await _take_back(seen, app, taken.reason_code, gone)


async def _record(seen: Seen, app: Application, name: str, wish: FactCommand) -> None:
    async def make(peek: Peek) -> FactCommand:
        return await prepared(app, seen.tenant, peek, wish)

    await app.react(seen, name, make)


def win_of(seen: Seen, now: datetime) -> RecordWin:
    """The command for a win; plans and meters are looked up later."""
    won: DealWon = seen.event
    return RecordWin(
        opportunity_id=won.opportunity_id,
        registration_id=won.registration_id,
        win_no=won.win_no,
        amount=won.amount,
        sold=tuple(_sold(line) for line in won.lines),
        deal_type=won.deal_type,
        closed_on=won.closed_on,
        backfill=won.backfill,
        source_event_id=seen.id,
        plan_ids=(),
        now=now,
        margin=won.margin,
        term=won.term,
        renews_id=won.renews_id,
    )


def _sold(line: SoldLine) -> Sold:
    return Sold(
        line_id=line.line_id, family=line.product_family, amount=line.amount, quantity=line.quantity, sku=line.sku
    )


def credit_of(seen: Seen, now: datetime) -> RecordCredit:
    """The command for a final credit revision; plans and meters are looked up later."""
    credit: CreditAllocated = seen.event
    return RecordCredit(
        opportunity_id=credit.opportunity_id,
        pool=credit.pool,
        revision=credit.revision,
        win_no=credit.win_no,
        shares=credit.shares,
        source_event_id=seen.id,
        plan_ids=(),
        now=now,
    )


def reversal_of(seen: Seen, now: datetime) -> RecordReversal:
    """The command for a reversal; plans and meters are looked up later."""
    taken: RevenueReversed = seen.event
    return RecordReversal(
        opportunity_id=taken.opportunity_id,
        win_no=taken.win_no,
        reversal_id=taken.reversal_id,
        amount=taken.amount,
        parts=tuple(Part(line_id=line.line_id, amount=line.amount) for line in taken.lines),
        reason_code=taken.reason_code,
        occurred_on=taken.occurred_on,
        source_event_id=seen.id,
        plan_ids=(),
        now=now,
    )


# Tiers: the figures that follow from events; the same figure again changes nothing


async def _measure_sale(seen: Seen, app: Application) -> None:
    for programme, partner_id, fact in await figures_now(app, seen.tenant, seen.event.opportunity_id):
        await _measure(seen, app, programme, partner_id, fact)


async def _measure(seen: Seen, app: Application, programme: str, partner_id: str, fact: MetricFact) -> None:
    wish = RecordTierMetric(
        programme=programme, partner_id=partner_id, fact=fact, source=seen.source, now=app.clock.now()
    )
    await app.react(seen, f"tier-{programme}-{partner_id}-{fact.metric}-{fact.ref}", wish)


async def _measure_one(seen: Seen, app: Application, source: str, it: "Achieved", value: int = 1) -> None:
    """Something that counts as one, or no longer does."""
    for programme, metric in await metrics_of(app, seen.tenant, source):
        for partner_id in it.partner_ids:
            fact = MetricFact(metric=metric.name, ref=it.ref, value=Decimal(value), on=it.on)
            await _measure(seen, app, programme, partner_id, fact)


# Recognition: what a partner did counts once, and no longer when it came to nothing


@dataclass(frozen=True)
class Achieved:
    """Something that partners did on a day."""

    achievement: Achievement
    ref: str
    partner_ids: tuple[str, ...]
    on: date


def _win_ref(it: DealWon | RevenueReversed) -> str:
    return f"{it.opportunity_id}-{it.win_no}"


async def _recognise(seen: Seen, app: Application, *these: Achieved, again: bool = False) -> None:
    """Counts it. `again`: it stands after all, which is asked each time, so that an old word that is repeated is known."""
    rules = await rules_of_kind(app, seen.tenant, RECOGNITION)
    for it, partner_id in _each_partner(these) if rules else ():
        name = f"give_back_{it.achievement}" if again else "record_achievement"
        wish = RecordAchievement(
            payee_id=partner_id,
            partner_id=partner_id,
            year=it.on.year,
            achievement=it.achievement,
            ref=f"{it.achievement}-{it.ref}",
            achieved_on=it.on,
            source_event_id=seen.id,
            rules=rules,
            now=app.clock.now(),
            again=again or LEFT_OUT,
        )
        await app.react(seen, f"{name}-{partner_id}", wish)


def _each_partner(these: Iterable[Achieved]) -> Iterator[tuple[Achieved, str]]:
    return ((it, partner_id) for it in these for partner_id in it.partner_ids)


async def _take_back(seen: Seen, app: Application, reason_code: str, *these: Achieved) -> None:
    rules = await rules_of_kind(app, seen.tenant, RECOGNITION)
    for it, partner_id in _each_partner(these) if rules else ():
        await _take_back_of(seen, app, partner_id, it, reason_code)


async def _take_back_of(seen: Seen, app: Application, partner_id: str, it: Achieved, reason_code: str) -> None:
    """Takes an achievement back in the year in which it counted."""
    ref = f"{it.achievement}-{it.ref}"

    async def make(peek: Peek) -> TakeBackAchievement:
        years = [it.on.year - back for back in range(YEARS_BACK)]
        found = [y for y in years if ref in (await peek(Recognitions.at(recognition_id(partner_id, y)))).counted]
        return TakeBackAchievement(
            payee_id=partner_id,
            partner_id=partner_id,
            year=found[0] if found else it.on.year,
            ref=ref,
            reason_code=reason_code,
            source_event_id=seen.id,
            now=app.clock.now(),
        )

    await app.react(seen, f"take_back_{it.achievement}-{partner_id}", make)


async def on_deal_registered(seen: Seen, app: Application) -> None:
    """A registration may be worth points, and pay under a plan for events."""
    it: DealRegistered = seen.event
    registered = _of_deal(it, "deal_registered", it.submitted_at)
    await _recognise(seen, app, registered)
    unsold = Unsold(
        achievement="deal_registered",
        ref=it.registration_id,
        registration_id=it.registration_id,
        partner_id=it.partner_id,
        deal_type=it.deal_type,
        products=it.products,
        on=registered.on,
        source_event_id=seen.id,
    )
    if paid := await currencies_paid(app, seen.tenant):
        await _name_customer(seen, app)
    await _pay_for(seen, app, unsold, paid)


async def _name_customer(seen: Seen, app: Application) -> None:
    """Who the customer is has to be known before anything is paid for the registration: it may be the partner itself."""
    it: DealRegistered = seen.event
    if it.account.domain:
        wish = NameCustomer(
            registration_id=it.registration_id,
            partner_id=it.partner_id,
            customer_domain=it.account.domain,
            source_event_id=seen.id,
            now=app.clock.now(),
        )
        await app.react(seen, "name_customer", wish)


async def on_deal_rejected(seen: Seen, app: Application) -> None:
    """A registration that came to nothing is worth none."""
    it: DealRejected = seen.event
    await _take_back(seen, app, "rejected", _of_deal(it, "deal_registered", it.rejected_at))
    await _pay_no_more(seen, app, it, it.rejected_at, "rejected")


async def on_deal_withdrawn(seen: Seen, app: Application) -> None:
    """What the partner itself took back counts no longer, approved or not."""
    it: DealWithdrawn = seen.event
    await _both_back(seen, app, it, it.withdrawn_at, "withdrawn")


async def on_deal_revoked(seen: Seen, app: Application) -> None:
    """A protection that was taken away was no achievement."""
    it: DealRevoked = seen.event
    await _both_back(seen, app, it, it.revoked_at, "revoked")


OF_DEALS: tuple[Achievement, ...] = ("deal_registered", "deal_approved")
OfDeal = DealRegistered | DealApproved | DealRejected | DealWithdrawn | DealRevoked


async def _both_back(seen: Seen, app: Application, it: OfDeal, at: datetime, reason_code: str) -> None:
    await _pay_no_more(seen, app, it, at, reason_code)
    await _take_back(seen, app, reason_code, *(_of_deal(it, what, at) for what in OF_DEALS))
    approval: Approval = await app.executor.peek(seen.tenant)(Approvals.at(it.registration_id))
    if approval.approved_on is not None:
        gone = Achieved("deal_approved", it.registration_id, (it.partner_id,), approval.approved_on)
        await _measure_one(seen, app, "deals_approved", gone, value=0)


def _of_deal(it: OfDeal, achievement: Achievement, at: datetime) -> Achieved:
    return Achieved(achievement, it.registration_id, (it.partner_id,), at.astimezone(UTC).date())


async def on_lead_converted(seen: Seen, app: Application) -> None:
    """A lead that became a deal may be worth points to whom it was given."""
    it: LeadConverted = seen.event
    if it.partner_id is not None:
        on = it.converted_at.astimezone(UTC).date()
        converted = Achieved("lead_converted", it.lead_id, (it.partner_id,), on)
        await _recognise(seen, app, converted)
        await _measure_one(seen, app, "leads_converted", converted)
        await _pay_for_lead(seen, app, it, it.partner_id, on)


async def _pay_for_lead(seen: Seen, app: Application, it: LeadConverted, partner_id: str, on: date) -> None:
    """Leads that became the same deal count once, and while that has not come to nothing."""
    unsold = Unsold(
        achievement="lead_converted",
        ref=it.registration_id or it.lead_id,
        registration_id=it.registration_id,
        partner_id=partner_id,
        on=on,
        source_event_id=seen.id,
    )
    await _pay_for(seen, app, unsold, await currencies_paid(app, seen.tenant))
    if it.registration_id is not None:
        approval: Approval = await app.executor.peek(seen.tenant)(Approvals.at(it.registration_id))
        if approval.ended is not None:
            await _taken_from(seen, app, "lead_converted", approval.ended)


# What plans pay for although nothing was sold


async def _pay_for(seen: Seen, app: Application, it: Unsold, paid: Mapping[Achievement, str]) -> None:
    """Keeps what a published plan pays for, as a sale without money; it earns at once."""
    currency = paid.get(it.achievement)
    for wish in achieved(it, currency, app.clock.now()) if currency else ():
        await _record(seen, app, f"{type(wish).__name__}-{it.achievement}", wish)


async def _pay_no_more(seen: Seen, app: Application, it: OfDeal, at: datetime, reason_code: str) -> None:
    """A registration that came to nothing takes back what it was paid for, and what is heard of it later."""
    paid = await currencies_paid(app, seen.tenant)
    ended = _deal_end(seen, app, it, at, reason_code)
    if paid:
        await app.react(seen, "record_deal_end", ended)
    for achievement in paid:
        await _taken_from(seen, app, achievement, ended)


def _deal_end(seen: Seen, app: Application, it: OfDeal, at: datetime, reason_code: str) -> RecordDealEnd:
    return RecordDealEnd(
        registration_id=it.registration_id,
        stands=isinstance(it, DealApproved),
        reason_code=reason_code,
        happened_on=at.astimezone(UTC).date(),
        source_event_id=seen.id,
        now=app.clock.now(),
    )


async def _taken_from(
    seen: Seen, app: Application, achievement: Achievement, ended: RecordDealEnd | DealEndRecorded
) -> None:
    """Takes back what was paid for a registration that ended, where it was."""
    wish = gone(await kept_as(app, seen.tenant, achievement, ended.registration_id), ended, app.clock.now())
    if wish:
        await _record(seen, app, f"take_back_pay-{achievement}", wish)


async def _pay_again(seen: Seen, app: Application, it: DealApproved) -> None:
    """A registration that had come to nothing and stands again is paid for again."""
    approval: Approval = await app.executor.peek(seen.tenant)(Approvals.at(it.registration_id))
    if approval.ended is None:
        return
    for achievement in UNSOLD:
        sale = await kept_as(app, seen.tenant, achievement, it.registration_id)
        for wish in again(sale, seen.id, app.clock.now()):
            await _record(seen, app, f"{type(wish).__name__}-{achievement}-again", wish)
    await app.react(seen, "record_deal_stands", _deal_end(seen, app, it, it.approved_at, "approved"))


async def on_partner_activated(seen: Seen, app: Application) -> None:
    """A partner that does business can be paid."""
    it: PartnerActivated = seen.event
    wish = OpenPayee(partner_id=it.partner_id, revision=it.revision, now=app.clock.now())
    await app.react(seen, "open_payee", wish)
    await _standing(seen, app, it.activated_at)


async def on_membership_started(seen: Seen, app: Application) -> None:
    """A partner's person can be paid too, unless the partner's payouts are suspended."""
    it: MembershipStarted = seen.event
    wish = EmployPerson(
        payee_id=it.person_id,
        partner_id=it.partner_id,
        primary=it.primary,
        since=it.effective_on,
        now=app.clock.now(),
    )
    await app.react(seen, "employ_person", wish)
    employer: Payee = await app.executor.peek(seen.tenant)(Payees.at(it.partner_id))
    if employer.suspended:
        suspended = SuspendPayee(
            payee_id=it.person_id,
            partner_id=it.partner_id,
            revision=employer.revision,
            scopes=(PAYOUTS,),
            reason_code=EMPLOYER_SUSPENDED,
            until=employer.suspended_until,
            now=app.clock.now(),
        )
        await app.react(seen, "suspend_person", suspended)


async def on_person_forgotten(seen: Seen, app: Application) -> None:
    """Nothing that was sealed for its pay can be read any more, and nothing is paid to it; the ledger stays."""
    it: PersonForgotten = seen.event
    await app.react(seen, "forget_payee", ForgetPayee(payee_id=it.person_id, now=app.clock.now()))


async def on_membership_ended(seen: Seen, app: Application) -> None:
    """Who has left is still paid what was earned before."""
    it: MembershipEnded = seen.event
    wish = LetPersonGo(payee_id=it.person_id, partner_id=it.partner_id, left_on=it.effective_on, now=app.clock.now())
    await app.react(seen, "let_person_go", wish)


async def on_partner_profile_changed(seen: Seen, app: Application) -> None:
    """A partner's country is the region that modifiers look at; its domains tell when it sells to itself."""
    await _standing(seen, app, seen.event.changed_at)


async def _standing(seen: Seen, app: Application, since: datetime) -> None:
    it: PartnerActivated | PartnerProfileChanged = seen.event
    known: dict[StandingField, tuple[str, ...]] = {"region": (it.country,), "domain": it.domains}
    for field, values in known.items():
        wish = RecordStanding(
            partner_id=it.partner_id,
            field=field,
            values=values,
            effective_on=since.astimezone(UTC).date(),
            source_event_id=seen.id,
            now=app.clock.now(),
        )
        await app.react(seen, f"record_{field}", wish)


async def on_certified_count(seen: Seen, app: Application) -> None:
    """Which certifications a partner has is what modifiers look at; how many of its people have one, tiers may ask."""
    it: CertifiedCountChanged = seen.event
    wish = RecordCertified(
        partner_id=it.partner_id,
        certification=it.certification,
        count=it.count,
        effective_on=it.effective_on,
        source_event_id=seen.id,
        source_position=seen.position,
        now=app.clock.now(),
    )
    await app.react(seen, "record_certified", wish)
    for programme, metric in await metrics_of(app, seen.tenant, CERTIFIED):
        if metric.certification == it.certification:
            of_day = f"-{iso(it.effective_on)}" if metric.window == ANY_DAY else ""
            ref, value = f"certified-{it.certification}{of_day}", Decimal(it.count)
            fact = MetricFact(metric=metric.name, ref=ref, value=value, on=it.effective_on)
            await _measure(seen, app, programme, it.partner_id, fact)


async def on_deal_approved(seen: Seen, app: Application) -> None:
    """A plan may look at the tier of the day on which the registration was approved."""
    it: DealApproved = seen.event
    wish = RecordApproval(
        registration_id=it.registration_id,
        partner_id=it.partner_id,
        approved_on=it.approved_at.astimezone(UTC).date(),
        customer_domain=it.account.domain,
        products=it.products or LEFT_OUT,
        source_event_id=seen.id,
        now=app.clock.now(),
    )
    await app.react(seen, "record_approval", wish)
    await _pay_again(seen, app, it)
    approved = _of_deal(it, "deal_approved", it.approved_at)
    await _recognise(seen, app, approved)
    await _recognise(seen, app, _of_deal(it, "deal_registered", it.submitted_at), approved, again=True)
    await _measure_one(seen, app, "deals_approved", approved)


async def on_order_recorded(seen: Seen, app: Application) -> None:
    """A distributor's order tells of the deal's sale as a point of sale does, once the deal is won."""
    it: OrderRecorded = seen.event
    wish = NoteOrder(
        registration_id=it.registration_id,
        order_ref=it.order_ref,
        amount=it.amount,
        ordered_on=it.ordered_on,
        source_event_id=seen.id,
        now=app.clock.now(),
    )
    await app.react(seen, "note_order", wish)
    sale = await won_of(app, seen.tenant, it.registration_id)
    if sale is not None:
        await _record_order(seen, app, sale, it.order_ref)


async def _orders_of_win(seen: Seen, app: Application, won: DealWon) -> None:
    """What was ordered before the win was told. An order that is heard of later finds the sale."""
    if won.registration_id is not None and not won.backfill:
        approval: Approval = await app.executor.peek(seen.tenant)(Approvals.at(won.registration_id))
        for order in approval.orders:
            sale = (won.opportunity_id, won.win_no, won.registration_id)
            await _record_order(seen, app, sale, order.order_ref)


async def _record_order(seen: Seen, app: Application, sale: WonDeal, order_ref: str) -> None:
    opportunity_id, win_no, registration_id = sale
    approval: Approval = await app.executor.peek(seen.tenant)(Approvals.at(registration_id))
    order = next(one for one in approval.orders if one.order_ref == order_ref)
    wish = ordered(opportunity_id, win_no, order, approval.products, app.clock.now())
    await _record(seen, app, f"record_order-{order_ref}", wish)


async def on_participant(seen: Seen, app: Application) -> None:
    """A plan may split its pay with who takes part in the deal, also after the deal itself has ended."""
    it: ParticipantJoined | ParticipantLeft = seen.event
    joins = isinstance(it, ParticipantJoined)
    if it.role not in PARTY_OF_ROLE or (isinstance(it, ParticipantLeft) and it.deal_over):
        return
    wish = RecordParty(
        registration_id=it.registration_id,
        party=PARTY_OF_ROLE[it.role],
        partner_id=it.partner_id,
        joins=joins,
        source_event_id=seen.id,
        now=app.clock.now(),
    )
    await app.react(seen, "record_party", wish)


async def on_tenant_opened(seen: Seen, app: Application) -> None:
    """The books are kept in the vendor's currency."""
    it: TenantOpened = seen.event
    await app.react(seen, "open_books", OpenBooks(currency=it.currency, source_event_id=seen.id, now=app.clock.now()))


async def on_partner_suspended(seen: Seen, app: Application) -> None:
    """The payee's gate follows the scopes of the suspension, and so do those of the people who work for it."""
    it: PartnerSuspended = seen.event
    wish = SuspendPayee(
        partner_id=it.partner_id,
        revision=it.revision,
        scopes=it.scopes,
        reason_code=it.reason_code,
        until=it.until,
        now=app.clock.now(),
    )
    await app.react(seen, "suspend_payee", wish)
    for person_id in await people_of(app, seen.tenant, it.partner_id):
        of_person = replace(wish, payee_id=person_id, reason_code=EMPLOYER_SUSPENDED)
        await app.react(seen, f"suspend_person:{person_id}", of_person)


async def on_partner_reinstated(seen: Seen, app: Application) -> None:
    """The gate opens again, and those of its people."""
    it: PartnerReinstated = seen.event
    wish = ReinstatePayee(partner_id=it.partner_id, revision=it.revision, now=app.clock.now())
    await app.react(seen, "reinstate_payee", wish)
    for person_id in await people_of(app, seen.tenant, it.partner_id):
        await app.react(seen, f"reinstate_person:{person_id}", replace(wish, payee_id=person_id))


async def on_offboarding_started(seen: Seen, app: Application) -> None:
    """What happens after the last business day earns nothing; after the run-off the partner is settled."""
    it: OffboardingStarted = seen.event
    wish = LetPayeeLeave(
        partner_id=it.partner_id,
        revision=it.revision,
        last_business_day=it.last_business_day,
        run_off_until=it.run_off_until,
        now=app.clock.now(),
    )
    await app.react(seen, "let_payee_leave", wish)


async def on_offboarding_cancelled(seen: Seen, app: Application) -> None:
    """The partner stays, and earns on."""
    it: OffboardingCancelled = seen.event
    wish = KeepPayee(partner_id=it.partner_id, revision=it.revision, now=app.clock.now())
    await app.react(seen, "keep_payee", wish)


async def on_partner_offboarded(seen: Seen, app: Application) -> None:
    """A partner that two people settled by hand has left, whatever is still open here."""
    it: PartnerOffboarded = seen.event
    ended_on = it.offboarded_at.astimezone(UTC).date()
    wish = NoteSettledByHand(partner_id=it.partner_id, settled_on=ended_on, now=app.clock.now())
    await app.react(seen, "note_settled_by_hand", wish)


async def on_partners_merged(seen: Seen, app: Application) -> None:
    """What is payable to the absorbed partner goes to the survivor."""
    it: PartnersMerged = seen.event
    wish = MergePayee(
        partner_id=it.absorbed_id,
        revision=it.revision,
        survivor_id=it.survivor_id,
        effective_on=it.effective_on,
        now=app.clock.now(),
    )
    await app.react(seen, "merge_payee", wish)


async def on_partners_unmerged(seen: Seen, app: Application) -> None:
    """And all of it comes back."""
    it: PartnersUnmerged = seen.event
    now = app.clock.now()
    wish = UnmergePayee(partner_id=it.absorbed_id, revision=it.revision, survivor_id=it.survivor_id, now=now)
    await app.react(seen, "unmerge_payee", wish)


REACTIONS: dict[type[Any], Reaction] = {
    DealWon: on_deal_won,
    CreditAllocated: on_credit_allocated,
    RevenueReversed: on_revenue_reversed,
    TenantOpened: on_tenant_opened,
    DealApproved: on_deal_approved,
    ParticipantJoined: on_participant,
    ParticipantLeft: on_participant,
    DealRegistered: on_deal_registered,
    DealRejected: on_deal_rejected,
    DealWithdrawn: on_deal_withdrawn,
    DealRevoked: on_deal_revoked,
    LeadConverted: on_lead_converted,
    OrderRecorded: on_order_recorded,
    CertifiedCountChanged: on_certified_count,
    PartnerActivated: on_partner_activated,
    PartnerProfileChanged: on_partner_profile_changed,
    MembershipStarted: on_membership_started,
    MembershipEnded: on_membership_ended,
    PersonForgotten: on_person_forgotten,
    PartnerSuspended: on_partner_suspended,
    PartnerReinstated: on_partner_reinstated,
    OffboardingStarted: on_offboarding_started,
    OffboardingCancelled: on_offboarding_cancelled,
    PartnerOffboarded: on_partner_offboarded,
    PartnersMerged: on_partners_merged,
    PartnersUnmerged: on_partners_unmerged,
}
