"""A fund request: what a partner wants to do with fund money, what of it was accepted, and until when it is claimed.

What is accepted is reserved in the partner's share of the fund in the same commit, so nobody accepts what is not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import assert_never

from chassis.decider import Decider, Invalid, NotFound, Refused, WrongState
from chassis.event import frozen, iso
from chassis.rulebook import Rulebook
from contracts.values import Money, none_of, total
from services.incentives.domain.budget import (
    Budget,
    BudgetEvent,
    BudgetReleased,
    Budgets,
    ReleaseBudget,
    ReserveBudget,
    UseBudget,
    release_budget,
    reserve_budget,
    use_budget,
)
from services.incentives.domain.fund import Activity, FundRules, fund_at, part_of, period_of, today, within_limit
from services.incentives.domain.fund_request_commands import (
    AmendFundRequest,
    CheckFundRequest,
    DecideFundRequest,
    DraftFundRequest,
    EndFundRequest,
    RecallFundRequest,
    RequestExtension,
    SubmitFundRequest,
)
from services.incentives.domain.fund_request_events import (
    Asking,
    Claiming,
    Decided,
    FundClaimReminded,
    FundRequestAmended,
    FundRequestClaimed,
    FundRequestDecided,
    FundRequestDrafted,
    FundRequestDrawn,
    FundRequestEnded,
    FundRequestEscalated,
    FundRequestEvent,
    FundRequestExtended,
    FundRequestRecalled,
    FundRequestReturned,
    FundRequestSubmitted,
    FundTerms,
    ItemDecision,
    RequestDetails,
    RequestItem,
)
from services.incentives.domain.fund_share import share_id

ITEMS_MAX = 50
REMINDER_DAYS = (14, 3)
ACCEPTED, RETURNED, REJECTED = "accepted", "returned", "rejected"
COMPLETED, EXPIRED, CANCELLED = "completed", "expired", "cancelled"


class Stage(StrEnum):
    NONE = "none"
    DRAFT = "draft"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    REJECTED = "rejected"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


# State


@frozen
class FundRequest:
    """Where a request stands. `rest` is what is still reserved, under `ref`; `agreed` is what was accepted last.

    `beyond` is what claims drew beyond what was reserved.
    """

    stage: Stage = Stage.NONE
    partner_id: str = ""
    fund_id: str = ""
    period: str = ""
    details: RequestDetails | None = None
    agreed: RequestDetails | None = None
    terms: FundTerms | None = None
    rest: Money | None = None
    ref: str | None = None
    decisions: int = 0
    claim_by: date | None = None
    extended: bool = False
    open_claims: frozenset[str] = frozenset()
    drawn: bool = False
    beyond: Money | None = None

    @property
    def tolerance(self) -> Money:
        """How far the claims to come may go beyond what is reserved, all of them together."""
        whole = self.terms.tolerance if self.terms else none_of(self.plan.asked.currency)
        return whole - self.beyond if self.beyond else whole

    @property
    def budget_id(self) -> str:
        """The partner's share of the fund."""
        return share_id(self.fund_id, self.period, self.partner_id)

    @property
    def plan(self) -> RequestDetails:
        """What is planned. Raises NotFound for a request that never was."""
        if self.details is None:
            raise NotFound
        return self.details


# Refusals


class RequestInvalid(Invalid):
    """A request has 1 to 50 items above nothing in the fund's currency, and days in the fund's period in their order."""

    slug = "fund-request-invalid"


class DeadlinePassed(Refused):
    """The day to claim by has passed."""

    slug = "deadline-passed"


class ExtendedBefore(Refused):
    """This fund grants one extension, or none."""

    slug = "extended-before"


class ClaimOpen(Refused):
    """A claim for this request waits to be decided: decide it first."""

    slug = "claim-open"


# Decisions


def draft_fund_request(wish: DraftFundRequest, request: FundRequest) -> list[FundRequestEvent]:
    """Writes a request, or writes it anew while it is a draft or was returned."""
    return _drafted_anew(wish, request, same=(wish.fund_id, wish.period) == (request.fund_id, request.period))


def draft_fund_request_of_details(wish: DraftFundRequest, request: FundRequest) -> list[FundRequestEvent]:
    """As the first evaluator decided: another fund or period alone changed nothing."""
    return _drafted_anew(wish, request, same=True)


def _drafted_anew(wish: DraftFundRequest, request: FundRequest, *, same: bool) -> list[FundRequestEvent]:
    if request.stage is not Stage.NONE:
        _must_be(request, Stage.DRAFT, Stage.RETURNED)
    if same and request.details == wish.details:
        return []
    _fits(wish.details, wish.period)
    return [
        FundRequestDrafted(
            fund_request_id=wish.fund_request_id,
            partner_id=wish.partner_id,
            fund_id=wish.fund_id,
            period=wish.period,
            details=wish.details,
            drafted_by=wish.by,
            drafted_at=wish.now,
        )
    ]


def _fits(details: RequestDetails, period: str) -> None:
    begins, ends = period_of(period)
    items = details.items
    sound = 1 <= len(items) <= ITEMS_MAX and begins <= details.starts_on <= details.ends_on and details.starts_on < ends
    currencies = {item.amount.currency for item in items}
    if not sound or len(currencies) != 1 or any(item.amount.amount <= 0 for item in items):
        raise RequestInvalid


def _must_be(request: FundRequest, *stages: Stage) -> None:
    if request.stage is Stage.NONE:
        raise NotFound
    if request.stage not in stages:
        raise WrongState(f"the request is {request.stage.value}", state=request.stage.value)


def submit_fund_request(wish: SubmitFundRequest, request: FundRequest, book: Rulebook) -> list[FundRequestEvent]:
    """Asks for the decision."""
    if request.stage is Stage.SUBMITTED:
        return []
    _must_be(request, Stage.DRAFT, Stage.RETURNED)
    _, rules = fund_at(book, wish.now)
    _of_fund(request.plan, rules)
    return [
        FundRequestSubmitted(
            fund_request_id=wish.fund_request_id,
            partner_id=request.partner_id,
            fund_id=request.fund_id,
            asked=request.plan.asked,
            submitted_at=wish.now,
        )
    ]


def _of_fund(details: RequestDetails, rules: FundRules) -> Activity:
    activity = rules.activity(details.activity_type)
    if activity is None:
        known = ", ".join(one.type for one in rules.activities)
        raise RequestInvalid(f"this fund pays for {known}", activities=[one.type for one in rules.activities])
    if details.asked.currency != rules.currency:
        raise RequestInvalid(f"this fund is in {rules.currency}")
    return activity


def recall_fund_request(wish: RecallFundRequest, request: FundRequest) -> list[FundRequestEvent]:
    """Takes back what has not been decided."""
    _must_be(request, Stage.SUBMITTED)
    if request.terms is not None:
        raise WrongState("what was accepted before is amended or cancelled", state=request.stage.value)
    one = FundRequestRecalled(fund_request_id=wish.fund_request_id, partner_id=request.partner_id, recalled_at=wish.now)
    return [one]


def amend_fund_request(wish: AmendFundRequest, request: FundRequest, book: Rulebook) -> list[FundRequestEvent]:
    """Changes what was accepted: it is decided again, and what was reserved stays until then."""
    _must_be(request, Stage.ACCEPTED)
    if request.open_claims or request.drawn:
        raise ClaimOpen("what has been claimed cannot be changed any more")
    _, rules = fund_at(book, wish.now)
    _fits(wish.details, request.period)
    _of_fund(wish.details, rules)
    return [
        FundRequestAmended(
            fund_request_id=wish.fund_request_id,
            partner_id=request.partner_id,
            fund_id=request.fund_id,
            details=wish.details,
            reason=wish.reason,
            amended_by=wish.by,
            amended_at=wish.now,
        )
    ]


def decide_fund_request(wish: DecideFundRequest, request: FundRequest, share: Budget, book: Rulebook) -> Decided:
    """Accepts and reserves, returns or rejects, item by item. Above the limit of who decides it is escalated.

    The extension that was granted before an amendment goes on. Who has to write a request anew is asked to. Of a fund
    that has ended nothing is accepted any more.
    """
    return _asked_again(wish, request, _decide_extended(wish, request, share, book, ended=True))


def decide_fund_request_in_force(
    wish: DecideFundRequest, request: FundRequest, share: Budget, book: Rulebook
) -> Decided:
    """As the second evaluator decided: once a fund had ended, nothing of it could be rejected or returned either."""
    return _asked_again(wish, request, _decide_extended(wish, request, share, book, ended=False))


def _decide_extended(
    wish: DecideFundRequest, request: FundRequest, share: Budget, book: Rulebook, *, ended: bool
) -> Decided:
    days = request.terms.extension_days if request.extended and request.terms else 0
    return _decide(wish, request, share, book, extended_days=days, ended=ended)


def _asked_again(wish: DecideFundRequest, request: FundRequest, decided: Decided) -> Decided:
    events, moved = decided
    if request.terms is None and _outcome(wish.items) == RETURNED:
        events = [*events, _returned(wish, request)]
    return events, moved


def _returned(wish: DecideFundRequest, request: FundRequest) -> FundRequestReturned:
    return FundRequestReturned(
        fund_request_id=wish.fund_request_id,
        partner_id=request.partner_id,
        fund_id=request.fund_id,
        returned_at=wish.now,
    )


def decide_fund_request_unextended(
    wish: DecideFundRequest, request: FundRequest, share: Budget, book: Rulebook
) -> Decided:
    """As the first evaluator decided: an amendment took the extension away, and nobody was asked for what was returned."""
    return _decide(wish, request, share, book, extended_days=0, ended=False)


def _decide(
    wish: DecideFundRequest,
    request: FundRequest,
    share: Budget,
    book: Rulebook,
    *,
    extended_days: int,
    ended: bool,
) -> Decided:
    _must_be(request, Stage.SUBMITTED)
    if wish.budget_id != request.budget_id:
        raise NotFound
    _covers(wish.items, request.plan.items)
    accepted = total((item.amount for item in wish.items), request.plan.asked.currency)
    outcome = _outcome(wish.items)
    if ended and outcome != ACCEPTED:
        return [_decided(wish, request, outcome, share)], []
    version, rules = fund_at(book, wish.now)
    if outcome != ACCEPTED:
        return [_decided(wish, request, outcome, share)], []
    kept = rules.reserved(accepted)
    limit = within_limit(rules.limits, wish.roles, kept)
    if limit is not None:
        return _escalated(wish, request, kept, limit), []
    terms = FundTerms(
        plan_version=version.version,
        accepted=accepted,
        reserved=kept,
        tolerance=part_of(kept, rules.tolerance_percent),
        participation_percent=str(rules.participation_percent),
        proofs=_of_fund(request.plan, rules).proofs,
        extension_days=rules.extension_days,
    )
    ref = f"{wish.fund_request_id}:{request.decisions + 1}"
    moved = _moved(wish, request, share, ref, kept)
    claim_by = request.plan.ends_on + timedelta(days=rules.claim_days + extended_days)
    decided = _decided(wish, request, outcome, Budgets.fold(moved, share), terms)
    return [replace(decided, ref=ref, claim_by=claim_by)], moved


def _covers(decisions: Sequence[ItemDecision], items: Sequence[RequestItem]) -> None:
    """Each item has one decision, with not more than was asked, and a reason where it is not accepted as it is."""
    if len(decisions) != len(items):
        raise RequestInvalid("decide every item, in their order")
    for number, (decision, item) in enumerate(zip(decisions, items, strict=True), start=1):
        if not _sound(decision, item):
            raise RequestInvalid(f"item {number}: accept at most what was asked, and say why not all of it")


def _sound(decision: ItemDecision, item: RequestItem) -> bool:
    if decision.amount.currency != item.amount.currency:
        return False
    if decision.outcome == "accepted_as_is":
        return decision.amount == item.amount
    if decision.outcome == "accepted_with_changes":
        return none_of(item.amount.currency) < decision.amount <= item.amount and bool(decision.reason.strip())
    return decision.amount.zero and bool(decision.reason.strip())


def _outcome(items: Sequence[ItemDecision]) -> str:
    outcomes = {item.outcome for item in items}
    if "returned" in outcomes:
        return RETURNED
    return REJECTED if outcomes == {"denied"} else ACCEPTED


def _escalated(wish: DecideFundRequest, request: FundRequest, kept: Money, limit: Money) -> list[FundRequestEvent]:
    return [
        FundRequestEscalated(
            fund_request_id=wish.fund_request_id,
            partner_id=request.partner_id,
            fund_id=request.fund_id,
            amount=kept,
            limit=limit,
            escalated_by=wish.by,
            escalated_at=wish.now,
        )
    ]


def _moved(wish: DecideFundRequest, request: FundRequest, share: Budget, ref: str, kept: Money) -> list[BudgetEvent]:
    """The old reservation goes, the new one comes. Raises FundsInsufficient."""
    gone = given_back_of(request, share, wish.now)
    left = Budgets.fold(gone, share)
    return [*gone, *reserve_budget(ReserveBudget(budget_id=wish.budget_id, ref=ref, amount=kept, now=wish.now), left)]


def given_back_of(request: FundRequest, share: Budget, now: datetime) -> list[BudgetEvent]:
    """What a request still has reserved is available again."""
    if request.ref is None:
        return []
    return release_budget(ReleaseBudget(budget_id=request.budget_id, ref=request.ref, now=now), share)


def _decided(
    wish: DecideFundRequest, request: FundRequest, outcome: str, share: Budget, terms: FundTerms | None = None
) -> FundRequestDecided:
    nothing = none_of(request.plan.asked.currency)
    return FundRequestDecided(
        fund_request_id=wish.fund_request_id,
        partner_id=request.partner_id,
        fund_id=request.fund_id,
        period=request.period,
        outcome=outcome,
        items=wish.items,
        terms=terms,
        ref=None,
        claim_by=None,
        amount=terms.reserved if terms else nothing,
        available=share.available if share.allocated else nothing,
        reason=wish.reason,
        decided_by=wish.by,
        decided_at=wish.now,
    )


def request_extension(wish: RequestExtension, request: FundRequest) -> list[FundRequestEvent]:
    """Moves the day to claim by, once and before it."""
    _must_be(request, Stage.ACCEPTED)
    if request.terms is None or request.claim_by is None or today(wish.now) > request.claim_by:
        raise DeadlinePassed(claim_by=iso(request.claim_by) if request.claim_by else None)
    if request.extended or not request.terms.extension_days:
        raise ExtendedBefore
    return [
        FundRequestExtended(
            fund_request_id=wish.fund_request_id,
            partner_id=request.partner_id,
            claim_by=request.claim_by + timedelta(days=request.terms.extension_days),
            reason=wish.reason,
            extended_by=wish.by,
            extended_at=wish.now,
        )
    ]


def end_fund_request(wish: EndFundRequest, request: FundRequest, share: Budget) -> Decided:
    """Completes or cancels a request; what is left of its reservation is available again."""
    if request.stage.value == wish.outcome:
        return [], []
    open_ones = (Stage.ACCEPTED, Stage.SUBMITTED) if wish.outcome == CANCELLED else (Stage.ACCEPTED,)
    _must_be(request, *open_ones)
    if request.open_claims:
        raise ClaimOpen(claims=sorted(request.open_claims))
    if wish.outcome == CANCELLED and request.drawn:
        raise WrongState("what has been paid for is completed, not cancelled", state=request.stage.value)
    return ended(wish.fund_request_id, request, share, wish.outcome, Reasoned(wish.reason, wish.by, wish.now))


@dataclass(frozen=True)
class Reasoned:
    """Why, by whom and when."""

    reason: str
    by: str
    now: datetime


def ended(fund_request_id: str, request: FundRequest, share: Budget, outcome: str, why: Reasoned) -> Decided:
    """The end of a request, with what it gives back to the partner's share."""
    gone = given_back_of(request, share, why.now)
    nothing = none_of(request.plan.asked.currency)
    one = FundRequestEnded(
        fund_request_id=fund_request_id,
        partner_id=request.partner_id,
        fund_id=request.fund_id,
        outcome=outcome,
        released=total((back.amount for back in gone if isinstance(back, BudgetReleased)), nothing.currency),
        reason=why.reason,
        ended_by=why.by,
        ended_at=why.now,
    )
    return [one], gone


def check_fund_request(wish: CheckFundRequest, request: FundRequest, share: Budget) -> Decided:
    """Reminds 14 and 3 days before the day to claim by; ends the request when that has passed without a claim."""
    if request.stage is not Stage.ACCEPTED or request.claim_by is None or request.open_claims:
        return [], []
    days_left = (request.claim_by - today(wish.now)).days
    if days_left < 0:
        why = Reasoned("nothing more was claimed in time", "clock", wish.now)
        return ended(wish.fund_request_id, request, share, COMPLETED if request.drawn else EXPIRED, why)
    if days_left > max(REMINDER_DAYS):
        return [], []
    return [
        FundClaimReminded(
            fund_request_id=wish.fund_request_id,
            partner_id=request.partner_id,
            fund_id=request.fund_id,
            claim_by=request.claim_by,
            days_left=days_left,
            amount=request.rest or none_of(request.plan.asked.currency),
            reminded_at=wish.now,
        )
    ], []


# What a claim does to its request


def claimable(request: FundRequest, now: datetime) -> FundTerms:
    """The terms of a request that may be claimed now. Raises WrongState, DeadlinePassed."""
    _must_be(request, Stage.ACCEPTED)
    if request.claim_by is None or today(now) > request.claim_by or request.terms is None:
        raise DeadlinePassed(claim_by=iso(request.claim_by) if request.claim_by else None)
    return request.terms


def drawn_for(
    fund_request_id: str, claim_id: str, amount: Money, request: FundRequest, share: Budget, now: datetime
) -> Decided:
    """A decided claim uses its part of the reservation; the rest is kept, or given back when the time is over."""
    gone = given_back_of(request, share, now)
    used, share = _used(claim_id, amount, request, Budgets.fold(gone, share), now)
    kept = request.rest or none_of(amount.currency)
    rest = kept - min(kept, amount)
    ref = f"{request.ref}:{claim_id}"
    again = _kept(request.budget_id, ref, rest, share, now)
    drawn = FundRequestDrawn(
        fund_request_id=fund_request_id,
        partner_id=request.partner_id,
        claim_id=claim_id,
        amount=amount,
        rest=rest,
        ref=ref,
        drawn_at=now,
    )
    return [drawn], [*gone, *used, *again]


def _used(
    claim_id: str, amount: Money, request: FundRequest, share: Budget, now: datetime
) -> tuple[list[BudgetEvent], Budget]:
    if amount.zero:
        return [], share
    used = use_budget(UseBudget(budget_id=request.budget_id, ref=claim_id, amount=amount, now=now), share)
    return used, Budgets.fold(used, share)


def _kept(budget_id: str, ref: str, rest: Money, share: Budget, now: datetime) -> list[BudgetEvent]:
    if rest.zero:
        return []
    return reserve_budget(ReserveBudget(budget_id=budget_id, ref=ref, amount=rest, now=now), share)


# Evolve


def evolve(request: FundRequest, happened: FundRequestEvent) -> FundRequest:
    match happened:
        case FundRequestDecided():
            return _evolve_decided(request, happened)
        case FundRequestEnded():
            return replace(request, stage=Stage(happened.outcome), rest=None, ref=None)
        case FundRequestReturned():
            return request
        case FundRequestExtended() | FundClaimReminded() | FundRequestClaimed() | FundRequestDrawn():
            return _evolve_claiming(request, happened)
        case _:
            return _evolve_asking(request, happened)


def _evolve_asking(request: FundRequest, happened: Asking) -> FundRequest:
    match happened:
        case FundRequestDrafted():
            return _drafted(request, happened)
        case FundRequestSubmitted() | FundRequestEscalated():
            return replace(request, stage=Stage.SUBMITTED)
        case FundRequestRecalled():
            return replace(request, stage=Stage.DRAFT)
        case FundRequestAmended():
            return replace(request, stage=Stage.SUBMITTED, details=happened.details)
        case _:
            assert_never(happened)


def _evolve_claiming(request: FundRequest, happened: Claiming) -> FundRequest:
    match happened:
        case FundRequestExtended():
            return replace(request, claim_by=happened.claim_by, extended=True)
        case FundClaimReminded():
            return request
        case FundRequestClaimed():
            return replace(request, open_claims=request.open_claims | {happened.claim_id})
        case FundRequestDrawn():
            return _evolve_drawn(request, happened)
        case _:
            assert_never(happened)


def _drafted(request: FundRequest, it: FundRequestDrafted) -> FundRequest:
    return replace(
        request,
        stage=Stage.DRAFT,
        partner_id=it.partner_id,
        fund_id=it.fund_id,
        period=it.period,
        details=it.details,
    )


def _evolve_decided(request: FundRequest, it: FundRequestDecided) -> FundRequest:
    """An amendment that is not accepted leaves what was accepted before as it is."""
    decisions = request.decisions + 1
    if it.terms is None and request.terms is not None:
        return replace(request, stage=Stage.ACCEPTED, details=request.agreed, decisions=decisions)
    return replace(
        request,
        stage=Stage(it.outcome),
        agreed=request.details if it.terms else None,
        terms=it.terms,
        rest=it.terms.reserved if it.terms else None,
        ref=it.ref,
        claim_by=it.claim_by,
        decisions=decisions,
    )


def _evolve_drawn(request: FundRequest, it: FundRequestDrawn) -> FundRequest:
    nothing = none_of(it.amount.currency)
    beyond = max(it.amount - (request.rest or nothing), nothing)
    return replace(
        request,
        rest=it.rest,
        ref=it.ref,
        drawn=request.drawn or not it.amount.zero,
        open_claims=request.open_claims - {it.claim_id},
        beyond=(request.beyond or nothing) + beyond,
    )


FundRequests = Decider[FundRequest, FundRequestEvent](kind="fund_request", initial=FundRequest(), evolve=evolve)
