"""A dispute: a partner contests what was decided on its deal. How it goes on is the case's (`chassis.case`).

Where customers turn out to be one, it is over a hold: a deal's own, or that of who takes part in one, whose invitation names
it as it names the claim.

What is decided takes effect when it is final, in one commit with the deals and claims that it changes: when the time to
appeal has passed, or at once where it was appealed.
"""

from collections.abc import Callable, Sequence
from dataclasses import field, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, assert_never

from chassis.case import APPEAL, CONCLUDE, DECIDE, HEAR, REQUEST, SHOW, WITHDRAW, Case, FilingClosed, Stage, in_time
from chassis.decider import Decider, Invalid, NotFound, Refused, WrongState
from chassis.event import LEFT_OUT, LeftOut, Sealed, command, event, frozen
from chassis.rulebook import Rulebook
from contracts.business_time import BUSINESS_DAY
from contracts.values import HUNDRED, PERCENT_STEP, DisputeGround, Effect, PartnerId, RegistrationId, largest_remainder
from services.registration.domain.deal import Deal, Status
from services.registration.domain.deal_commands import OnDeal, Screens
from services.registration.domain.deal_events import Evidence, OfDeal
from services.registration.domain.judging import rules_of
from services.registration.domain.keeping import EVIDENCE_MAX, TooMuchEvidence
from services.registration.domain.review_clock import appeal_until
from services.registration.domain.rules import DealRules

WRONG_MATCH: DisputeGround = "wrong_match"
OUTCOMES = UPHELD, OVERTURNED, SPLIT, LETTER_REQUIRED, NO_PROTECTION = (
    *("upheld", "overturned", "split", "letter_required", "no_protection"),
)
FILED_FROM = (Stage.NONE, Stage.WITHDRAWN)
DISPUTABLE = (Status.REJECTED, Status.WAITING, Status.REVOKED)
EVIDENCE_DAYS, DECISION_DAYS = 5, 5
SERVICE = "registration"
"""Who opens a dispute that nobody filed."""
VENDOR, PARTNER = "vendor", "partner"
ASKED = {Stage.EVIDENCE_REQUESTED: PARTNER, Stage.UNDER_REVIEW: VENDOR, Stage.APPEALED: VENDOR}
"""Who is asked to do something at a stage."""


# Events


@frozen
class Holder:
    """The other side of a dispute: the deal that holds what is contested, and whose it is.

    With `invitation_id` it is who takes part in that deal.
    """

    registration_id: RegistrationId
    partner_id: PartnerId
    invitation_id: str | LeftOut = LEFT_OUT

    @property
    def name(self) -> RegistrationId:
        """The name of its claim."""
        return RegistrationId(self.invitation_id or self.registration_id)


@frozen
class OfDispute(OfDeal):
    """What every event of a dispute says. Of who takes part in a deal `invitation_id` names it, and the partner is that one."""

    invitation_id: str | LeftOut = LEFT_OUT

    @property
    def dispute_id(self) -> RegistrationId:
        """The name of the dispute: that of the claim which it is over."""
        return RegistrationId(self.invitation_id or self.registration_id)


@event("registration.DisputeOpened.v1")
class DisputeOpened(OfDispute):
    """`against` are the claims that hold instead, by their names, `holders` whose they are; neither leaves the service.

    `barred` are the people who may not decide it.

    Nobody filed, and nobody states anything, where two customers that were merged both had a holder.
    """

    kind: str
    statement: Sealed | None = None
    evidence: tuple[Evidence, ...]
    against: tuple[RegistrationId, ...]
    barred: tuple[str, ...]
    due_at: datetime
    opened_by: str
    opened_at: datetime
    holders: tuple[Holder, ...] = ()


@event("registration.DisputeEvidenceRequested.v1")
class DisputeEvidenceRequested(OfDispute):
    question: Sealed
    due_at: datetime
    requested_by: str
    requested_at: datetime


@event("registration.DisputeEvidenceShown.v1")
class DisputeEvidenceShown(OfDispute):
    evidence: tuple[Evidence, ...]
    due_at: datetime
    shown_by: str
    shown_at: datetime


@event("registration.DisputeLetterShown.v1")
class DisputeLetterShown(OfDispute):
    """What the partner shows where the decision asks for a letter of the customer; it stands as decided."""

    evidence: tuple[Evidence, ...]
    shown_by: str
    shown_at: datetime


@event("registration.DisputeHeard.v1")
class DisputeHeard(OfDispute):
    """It is under review: an arbiter decides it by `due_at`."""

    due_at: datetime
    heard_at: datetime


@event("registration.DisputeDecided.v1")
class DisputeDecided(OfDispute):
    """What an arbiter decided; it takes effect when it is final. `shares` are those of a split."""

    outcome: str
    reason: Sealed
    shares: tuple[Effect, ...]
    due_at: datetime | None
    decided_by: str
    decided_at: datetime


@event("registration.DisputeAppealed.v1")
class DisputeAppealed(OfDispute):
    """`holder` is the claim whose partner appeals; None where the one who filed the dispute does."""

    statement: Sealed
    due_at: datetime
    appealed_by: str
    appealed_at: datetime
    holder: RegistrationId | None = None


@event("registration.DisputeConcluded.v1")
class DisputeConcluded(OfDispute):
    """Final, with its effects. A letter that was required and did not come leaves it upheld."""

    outcome: str
    effects: tuple[Effect, ...]
    concluded_at: datetime


@event("registration.DisputeWithdrawn.v1")
class DisputeWithdrawn(OfDispute):
    withdrawn_by: str
    withdrawn_at: datetime


@event("registration.DisputeAnswered.v1")
class DisputeAnswered(OfDispute):
    """Who was asked last has nothing to do any more. Side: vendor (an arbiter), partner (the one who filed it)."""

    side: str
    answered_at: datetime


DisputeEvent = (
    DisputeOpened
    | DisputeEvidenceRequested
    | DisputeEvidenceShown
    | DisputeLetterShown
    | DisputeHeard
    | DisputeDecided
    | DisputeAppealed
    | DisputeConcluded
    | DisputeWithdrawn
    | DisputeAnswered
)


# Commands


@frozen
class OnDispute(OnDeal):
    """What every command on a dispute says. With `invitation_id` it is over the hold of who takes part in the deal."""

    invitation_id: str | LeftOut = LEFT_OUT

    @property
    def dispute_id(self) -> RegistrationId:
        """The name of the dispute: that of the claim which it is over."""
        return RegistrationId(self.invitation_id or self.registration_id)


@command("registration.FileDispute.v1")
class FileDispute(OnDeal):
    kind: str
    statement: Sealed
    evidence: tuple[Evidence, ...] = ()
    against: tuple[RegistrationId, ...] = ()
    by: str


@command("registration.RequestDisputeEvidence.v1")
class RequestDisputeEvidence(OnDispute):
    question: Sealed
    by: str


@command("registration.ShowDisputeEvidence.v1")
class ShowDisputeEvidence(OnDispute):
    evidence: tuple[Evidence, ...]
    by: str


@command("registration.HearDispute.v1")
class HearDispute(OnDispute):
    pass


@command("registration.DecideDispute.v1")
class DecideDispute(OnDispute):
    """`holders` keep what is left of 100.00 percent, in equal parts, where a split gives the filer `percent`."""

    outcome: str
    reason: Sealed
    percent: Decimal | None = None
    by: str


@command("registration.AppealDispute.v1")
class AppealDispute(OnDispute):
    """`holder` is the claim that the dispute goes against, by its name, where its partner appeals."""

    statement: Sealed
    by: str
    holder: RegistrationId | None = None


@command("registration.ConcludeDispute.v1")
class ConcludeDispute(Screens, OnDispute):
    pass


@command("registration.WithdrawDispute.v1")
class WithdrawDispute(OnDispute):
    by: str


class WrongShare(Invalid):
    """A split names the filer's percent, between 0 and 100, and needs one who holds."""

    slug = "wrong-share"


class NotFiled(Refused):
    """Nobody filed this dispute: two hold the same, and an arbiter decides which. Leave, or withdraw the deal, to give way."""

    slug = "not-filed"


# State


@frozen
class Dispute:
    """What decisions ask of a dispute. `shown` are the documents that came since it was filed."""

    case: Case = field(default_factory=Case)
    opened: DisputeOpened | None = None
    decided: DisputeDecided | None = None
    shown: tuple[Evidence, ...] = ()

    @property
    def first(self) -> DisputeOpened:
        if self.opened is None:
            raise NotFound
        return self.opened

    @property
    def header(self) -> dict[str, Any]:
        """The fields of `OfDispute`."""
        return {one.name: getattr(self.first, one.name) for one in fields(OfDispute)}

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """All documents that were shown in it."""
        return (*self.first.evidence, *self.shown)

    @property
    def awaits_letter(self) -> bool:
        """Whether it is decided, and goes as the customer says in a letter."""
        decided = self.decided
        return self.case.stage == Stage.DECIDED and decided is not None and decided.outcome == LETTER_REQUIRED


# Decisions

Step = Callable[..., list[DisputeEvent]]


def answering(step: Step) -> Step:
    """The step, and that whoever was asked before it has nothing to do any more."""

    def answered(wish: OnDispute, dispute: Dispute, *streams: Any) -> list[DisputeEvent]:
        events = step(wish, dispute, *streams)
        return [*events, *nothing_to_do(dispute, wish.now)] if events else events

    return answered


def nothing_to_do(dispute: Dispute, now: datetime) -> list[DisputeEvent]:
    """That whoever is asked at this stage has nothing to do any more."""
    side = ASKED.get(dispute.case.stage)
    return [DisputeAnswered(**dispute.header, side=side, answered_at=now)] if side else []


def unanswered(decision: Callable[..., Any]) -> Callable[..., Any]:
    """As it was decided while a dispute that ends with what it was about told nobody who was asked in it."""

    def decided(*given: Any) -> Any:
        *rest, settled = decision(*given)
        return *rest, [[one for one in events if not isinstance(one, DisputeAnswered)] for events in settled]

    return decided


def file_dispute(
    wish: FileDispute, dispute: Dispute, deal: Deal, against: tuple[Deal, ...], book: Rulebook
) -> list[DisputeEvent]:
    """Contests a rejection, a revocation or a wait, in time. A last day that the rules keep is not named either."""
    if deal.status == Status.WAITING:
        deal = replace(deal, appeal_until=contest_until(deal, against, book))
    return file_dispute_at_any_time_of_a_wait(wish, dispute, deal, against, book)


def contest_until(deal: Deal, against: Sequence[Deal], book: Rulebook) -> datetime | None:
    """Until when it can be contested: a wait from when the deal was set behind its rivals, or one of them was approved."""
    if deal.status != Status.WAITING or deal.queued_at is None:
        return deal.appeal_until
    since = max((deal.queued_at, *(one.approved_at for one in against if one.approved_at)))
    return appeal_until(rules_of(deal, book), since)


def file_dispute_at_any_time_of_a_wait(
    wish: FileDispute, dispute: Dispute, deal: Deal, against: tuple[Deal, ...], book: Rulebook
) -> list[DisputeEvent]:
    """Evaluator 2: a wait had no last day."""
    try:
        return file_dispute_by_the_day(wish, dispute, deal, against, book)
    except FilingClosed:
        if "appeal_until" in (deal.first.withheld or ()):
            raise FilingClosed from None
        raise


def file_dispute_by_the_day(
    wish: FileDispute, dispute: Dispute, deal: Deal, against: tuple[Deal, ...], book: Rulebook
) -> list[DisputeEvent]:
    """Evaluator 1: who came too late was always told of the last day."""
    if dispute.case.stage not in FILED_FROM:
        raise WrongState("this deal is disputed already", state=dispute.case.stage.value, allowed=[])
    if deal.status not in DISPUTABLE:
        raise WrongState("there is nothing to dispute", state=deal.status.value, allowed=[])
    in_time(deal.appeal_until, wish.now)
    involved = (*deal.involved, *(person for other in against for person in other.involved))
    return [
        DisputeOpened(
            **deal.header,
            kind=wish.kind,
            statement=wish.statement,
            evidence=wish.evidence,
            against=wish.against,
            holders=tuple(
                Holder(registration_id=one.first.registration_id, partner_id=one.first.partner_id) for one in against
            ),
            barred=tuple(dict.fromkeys((*involved, wish.by))),
            due_at=_after(deal, book, EVIDENCE_DAYS, wish.now),
            opened_by=wish.by,
            opened_at=wish.now,
        )
    ]


def request_dispute_evidence(
    wish: RequestDisputeEvidence, dispute: Dispute, deal: Deal, book: Rulebook
) -> list[DisputeEvent]:
    """Asks the partner for more."""
    dispute.case.may(REQUEST)
    due_at = _after(deal, book, EVIDENCE_DAYS, wish.now)
    asked = {"question": wish.question, "requested_by": wish.by, "requested_at": wish.now}
    return [DisputeEvidenceRequested(**dispute.header, **asked, due_at=due_at)]  # type: ignore[arg-type]


def show_dispute_evidence(
    wish: ShowDisputeEvidence, dispute: Dispute, deal: Deal, book: Rulebook
) -> list[DisputeEvent]:
    """Answers with documents; the arbiter decides next. Where it is decided by a letter, until the time for that is over.

    That comes here, since a deal that was rejected or revoked takes no documents any more.
    """
    if not dispute.awaits_letter:
        return show_dispute_evidence_before_the_decision(wish, dispute, deal, book)
    in_time(dispute.case.due_at, wish.now)
    known = {one.sha256 for one in dispute.evidence}
    new = tuple({one.sha256: one for one in wish.evidence if one.sha256 not in known}.values())
    if len(known) + len(new) > EVIDENCE_MAX:
        raise TooMuchEvidence(limit=EVIDENCE_MAX)
    told = {"evidence": new, "shown_by": wish.by, "shown_at": wish.now}
    return [DisputeLetterShown(**dispute.header, **told)] if new else []  # type: ignore[arg-type]


def show_dispute_evidence_before_the_decision(
    wish: ShowDisputeEvidence, dispute: Dispute, deal: Deal, book: Rulebook
) -> list[DisputeEvent]:
    """As the first two evaluators decided: once it was decided nothing was shown, nor a letter that was asked for."""
    dispute.case.may(SHOW)
    due_at = _after(deal, book, DECISION_DAYS, wish.now)
    return [
        DisputeEvidenceShown(
            **dispute.header, evidence=wish.evidence, due_at=due_at, shown_by=wish.by, shown_at=wish.now
        )
    ]


def hear_dispute(wish: HearDispute, dispute: Dispute, deal: Deal, book: Rulebook) -> list[DisputeEvent]:
    """The time for evidence is over; nothing where it is not, or the case has gone on."""
    case = dispute.case
    if case.stage not in (Stage.OPENED, Stage.EVIDENCE_REQUESTED) or case.due_at is None or wish.now < case.due_at:
        return []
    return [DisputeHeard(**dispute.header, due_at=_after(deal, book, DECISION_DAYS, wish.now), heard_at=wish.now)]


def decide_dispute(wish: DecideDispute, dispute: Dispute, deal: Deal, book: Rulebook) -> list[DisputeEvent]:
    """What an impartial person decides; the appeal's is a third person. It can be appealed once."""
    return _decide(wish, dispute, deal, book)


def decide_dispute_between_two(wish: DecideDispute, dispute: Dispute, deal: Deal, book: Rulebook) -> list[DisputeEvent]:
    """Evaluator 1: nothing was split where several hold."""
    if wish.outcome == SPLIT and len(dispute.first.against) != 1:
        dispute.case.may_decide(wish.by)
        raise WrongShare
    return _decide(wish, dispute, deal, book)


def _decide(wish: DecideDispute, dispute: Dispute, deal: Deal, book: Rulebook) -> list[DisputeEvent]:
    dispute.case.may_decide(wish.by)
    again = dispute.case.stage == Stage.APPEALED
    waits = wish.outcome == LETTER_REQUIRED or not again
    days = rules_of(deal, book).clock.appeal_days
    return [
        DisputeDecided(
            **dispute.header,
            outcome=wish.outcome,
            reason=wish.reason,
            shares=_shares(wish, dispute.first),
            due_at=_after(deal, book, days, wish.now) if waits else None,
            decided_by=wish.by,
            decided_at=wish.now,
        )
    ]


def _shares(wish: DecideDispute, opened: DisputeOpened) -> tuple[Effect, ...]:
    """The filer's percent, and what is left of it in equal parts for those who hold."""
    if wish.outcome != SPLIT:
        return ()
    if wish.percent is None or not 0 < wish.percent < HUNDRED or not opened.against:
        raise WrongShare
    filer = Effect(registration_id=opened.registration_id, percent=wish.percent)
    holders = tuple(one.registration_id for one in opened.holders) or opened.against
    rest = HUNDRED - wish.percent
    parts = [rest] if len(holders) == 1 else largest_remainder(rest, [Decimal(1)] * len(holders), PERCENT_STEP)
    return filer, *(Effect(registration_id=one, percent=part) for one, part in zip(holders, parts, strict=True))


def appeal_dispute(wish: AppealDispute, dispute: Dispute, deal: Deal, book: Rulebook) -> list[DisputeEvent]:
    """Asks for another arbiter, once and in time; either side may."""
    if wish.holder is not None and wish.holder not in dispute.first.against:
        raise NotFound
    dispute.case.may_appeal(wish.now)
    due_at = _after(deal, book, DECISION_DAYS, wish.now)
    told = {"statement": wish.statement, "appealed_by": wish.by, "appealed_at": wish.now, "holder": wish.holder}
    return [DisputeAppealed(**dispute.header, **told, due_at=due_at)]  # type: ignore[arg-type]


def withdraw_dispute(wish: WithdrawDispute, dispute: Dispute) -> list[DisputeEvent]:
    """Takes the dispute back, before it is decided; one that nobody filed ends with what made two hold the same."""
    dispute.case.may(WITHDRAW)
    if dispute.first.opened_by == SERVICE:
        raise NotFiled
    return withdraw_any_dispute(wish, dispute)


def withdraw_any_dispute(wish: WithdrawDispute, dispute: Dispute) -> list[DisputeEvent]:
    """As the first two evaluators decided: one that nobody filed was taken back too, and its holds stayed contested."""
    dispute.case.may(WITHDRAW)
    return [DisputeWithdrawn(**dispute.header, withdrawn_by=wish.by, withdrawn_at=wish.now)]


def _after(deal: Deal, book: Rulebook, days: int, now: datetime) -> datetime:
    rules: DealRules = rules_of(deal, book)
    return rules.calendar.after(now, days * BUSINESS_DAY)


def lasted(dispute: Dispute, now: datetime) -> timedelta:
    """How long the dispute took: as much is added to the end of the hold that was contested."""
    return now - dispute.first.opened_at


def effects_of(outcome: str, dispute: Dispute, holders: Sequence[Deal], now: datetime) -> tuple[Effect, ...]:
    """What the outcome gives to whom from now on."""
    first = dispute.first
    if outcome == SPLIT and dispute.decided is not None:
        sharing = zip(dispute.decided.shares, (first.partner_id, *_sharing(first, holders)), strict=False)
        return tuple(replace(share, partner_id=whose, from_at=now) for share, whose in sharing)
    if outcome == OVERTURNED:
        won = {"registration_id": first.registration_id, "partner_id": first.partner_id}
        return (Effect(**won, percent=HUNDRED, from_at=now),)  # type: ignore[arg-type]
    return ()


def _sharing(opened: DisputeOpened, holders: Sequence[Deal]) -> tuple[PartnerId | None, ...]:
    """Whose the holds are on the other side; None of a deal that holds no more."""
    deals = {one.first.registration_id: one.first.partner_id for one in holders}
    if not opened.holders:
        return tuple(deals.get(one) for one in opened.against)
    return tuple(one.partner_id if one.invitation_id else deals.get(one.registration_id) for one in opened.holders)


# Evolve


def evolve(dispute: Dispute, happened: DisputeEvent) -> Dispute:
    case = dispute.case
    match happened:
        case DisputeOpened(barred=barred, due_at=due_at):
            return Dispute(case=case.opened(barred, due_at), opened=happened)
        case DisputeDecided(due_at=due_at, decided_by=by):
            return replace(dispute, case=case.moved(DECIDE, due_at, by), decided=happened)
        case DisputeConcluded():
            return replace(dispute, case=case.moved(CONCLUDE, None))
        case DisputeWithdrawn():
            return replace(dispute, case=case.moved(WITHDRAW, None))
        case DisputeAnswered():
            return dispute
        case DisputeLetterShown(evidence=shown):
            return replace(dispute, shown=(*dispute.shown, *shown))
        case DisputeEvidenceShown(evidence=shown, due_at=due_at):
            return replace(dispute, case=case.moved(SHOW, due_at), shown=(*dispute.shown, *shown))
        case _:
            return replace(dispute, case=_waiting(case, happened))


def _waiting(case: Case, happened: DisputeEvidenceRequested | DisputeHeard | DisputeAppealed) -> Case:
    match happened:
        case DisputeEvidenceRequested(due_at=due_at):
            return case.moved(REQUEST, due_at)
        case DisputeHeard(due_at=due_at):
            return case.moved(HEAR, due_at)
        case DisputeAppealed(due_at=due_at):
            return case.moved(APPEAL, due_at)
        case _:
            assert_never(happened)


Disputes = Decider[Dispute, DisputeEvent](kind="dispute", initial=Dispute(), evolve=evolve)
