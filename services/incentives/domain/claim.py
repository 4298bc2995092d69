"""A claim: what a partner wants for an activity, for units sold at a special price or under a SPIFF, with its proof.

A fund claim is for one accepted request, a special-price claim for one agreement. Approved money becomes payable in the
commit of the decision, or by instalments, or is credited. A SPIFF is claimed for one sale, which earns its lines in that
commit. The claim is settled when all of it is paid.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import partial
from itertools import zip_longest
from typing import Literal, assert_never

from chassis.decider import Decider, Invalid, NotFound, Raced, Refused, WrongState
from chassis.event import LEFT_OUT, LeftOut, command, event, frozen, iso, stable_id
from chassis.rulebook import Rulebook
from contracts.values import Money, largest_remainder, minor_unit, none_of, total
from services.incentives.domain.awarding import award_at, in_time
from services.incentives.domain.budget import Budget, BudgetEvent, Budgets
from services.incentives.domain.claim_tax import TAX_PERCENT_MAX, most_tax, tax_on
from services.incentives.domain.evidence import Evidence, EvidenceEvent, show_evidence, withdraw_evidence
from services.incentives.domain.exchange import NO_BOOKS, InBooks
from services.incentives.domain.fund import FundRules, OverLimit, fund_at, fund_of, reimbursed, today, within_limit
from services.incentives.domain.fund_request import (
    COMPLETED,
    FundRequest,
    FundRequests,
    Reasoned,
    claimable,
    drawn_for,
    ended,
)
from services.incentives.domain.fund_request_events import FundRequestClaimed, FundRequestEvent, FundTerms
from services.incentives.domain.journal import FUND_MONEY, NO_JOURNAL, Journal, Side, entry, move
from services.incentives.domain.recurring import months_after
from services.incentives.domain.sale import Sale
from services.incentives.domain.sale_commands import DecideSpiffClaim
from services.incentives.domain.special_price import (
    SoldRow,
    SpecialPrice,
    SpecialPriceEvent,
    as_read,
    calculated,
    used_up,
)

ITEMS_MAX, PROOFS_MAX = 500, 20
FUND_CLAIM, SPECIAL_PRICE, SPIFF_CLAIM = "fund", "special_price", "spiff"
APPROVED, DENIED, RETURNED, DISPUTED = "approved", "denied", "returned", "disputed"
ClaimKind = Literal["fund", "special_price", "spiff"]
Verdict = Literal["approved", "denied", "returned"]
PAYMENT, CREDIT, INSTALMENTS = "payment", "credit", "instalments"
PayAs = Literal["payment", "credit", "instalments"]
INSTALMENTS_RANGE = (2, 24)
HELD_FUND: Side = ("held", "fund")
CREDIT_DUE: Side = ("credit_due", "fund")
RECEIVABLE: Side = ("receivable", "fund")


class Stage(StrEnum):
    NONE = "none"
    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    DENIED = "denied"
    RETURNED = "returned"
    DISPUTED = "disputed"
    SETTLED = "settled"


@frozen
class ClaimItem:
    """One thing that is claimed: a cost of the activity, or with `sold` a row of the point of sale."""

    text: str
    amount: Money
    sold: SoldRow | None = None


@frozen
class ClaimProof:
    """A document that shows it was done, by the SHA-256 of its file and by what is written on it."""

    kind: str
    proof_sha256: str
    issuer: str
    number: str
    amount: Money
    issued_on: date

    @property
    def evidence_ids(self) -> tuple[str, str]:
        """The same file, and the same document in another file, are the same evidence."""
        return f"file-{self.proof_sha256}", self._document(self.issuer, self.number)

    @property
    def names(self) -> tuple[str, ...]:
        """What it is known by: its file, and what is written on it, as written and as people read it."""
        return tuple(dict.fromkeys((*self.evidence_ids, self._document(as_read(self.issuer), as_read(self.number)))))

    def _document(self, issuer: str, number: str) -> str:
        return f"document-{stable_id('document', issuer, number, str(self.amount.amount), str(self.issued_on))}"


@frozen
class ClaimTax:
    """Value-added tax that the claimant charges on all that it claims, and its country."""

    country: str
    amount: Money


@frozen
class ClaimedSale:
    """The sale that a SPIFF is claimed for, and who sold it."""

    opportunity_id: str
    win_no: int
    claimant_id: str


@frozen
class Reuse:
    """Evidence that other claims have shown before."""

    evidence_id: str
    claim_ids: tuple[str, ...]


@frozen
class Instalment:
    """One part of what was approved, the tax on it included, and the day on which it becomes payable."""

    number: int
    amount: Money
    payable_on: date
    books: Money | None = None


# Events


@event("incentives.ClaimDrafted.v1")
class ClaimDrafted:
    """`of_id` is the fund request, special price or SPIFF that it is for; `sale` the one that a SPIFF is claimed for."""

    claim_id: str
    kind: str
    partner_id: str
    of_id: str
    items: tuple[ClaimItem, ...]
    proofs: tuple[ClaimProof, ...]
    tax: ClaimTax | None
    drafted_by: str
    drafted_at: datetime
    sale: ClaimedSale | LeftOut = LEFT_OUT


@event("incentives.ClaimSubmitted.v1")
class ClaimSubmitted:
    """`reused` is evidence that another claim showed before: a reviewer sees both, the partner that it needs review."""

    claim_id: str
    kind: str
    partner_id: str
    of_id: str
    claimed: Money
    reused: tuple[Reuse, ...]
    submitted_at: datetime


@event("incentives.ClaimDecided.v1")
class ClaimDecided:
    """Outcome: approved, denied, returned or disputed. `amount` is what becomes payable, with `tax` on top of it.

    A claim for a fund names it, with what its share has left; one for a special price does not. `pay_as` is payment,
    credit (a credit note, no transfer) or instalments, of which those that are not payable yet are held. An award of a
    SPIFF posts nothing by itself: `line_ids` are the lines that the sale earned with it.
    """

    claim_id: str
    kind: str
    partner_id: str
    payee_id: str
    of_id: str
    outcome: str
    claimed: Money
    eligible: Money
    amount: Money
    tax: ClaimTax | None
    steps: tuple[str, ...]
    journal: Journal
    reason: str
    decided_on: date
    decided_by: str
    decided_at: datetime
    fund_id: str | None = None
    available: Money | None = None
    pay_as: str = "payment"
    instalments: tuple[Instalment, ...] = ()
    line_ids: tuple[str, ...] | LeftOut = LEFT_OUT


@event("incentives.ClaimReturned.v1")
class ClaimReturned:
    """The partner is asked to write it anew: it was decided so just before. A returned award of a SPIFF asks by itself."""

    claim_id: str
    partner_id: str
    returned_at: datetime


@event("incentives.ClaimInstalmentReleased.v1")
class ClaimInstalmentReleased:
    """The day of an instalment has come: it is payable."""

    claim_id: str
    partner_id: str
    payee_id: str
    number: int
    amount: Money
    payable_on: date
    journal: Journal
    released_at: datetime


@event("incentives.ClaimCredited.v1")
class ClaimCredited:
    """A credit note stands for what was approved: the partner owes its vendor that much less."""

    claim_id: str
    partner_id: str
    payee_id: str
    credit_note: str
    amount: Money
    journal: Journal
    credited_on: date
    credited_by: str
    credited_at: datetime


@event("incentives.ClaimSettled.v1")
class ClaimSettled:
    """What was approved has been paid, or credited: then `payment_id` is the number of the credit note."""

    claim_id: str
    kind: str
    partner_id: str
    payee_id: str
    of_id: str
    amount: Money
    payment_id: str
    paid_on: date
    settled_at: datetime
    fund_id: str | None = None


@event("incentives.ClaimLinesPaid.v1")
class ClaimLinesPaid:
    """Some lines of an award were paid; the claim is settled with the last one."""

    claim_id: str
    partner_id: str
    line_ids: tuple[str, ...]
    payment_id: str
    paid_on: date
    noted_at: datetime


ClaimEvent = (
    ClaimDrafted
    | ClaimSubmitted
    | ClaimDecided
    | ClaimReturned
    | ClaimInstalmentReleased
    | ClaimCredited
    | ClaimLinesPaid
    | ClaimSettled
)
Submitted = tuple[list[ClaimEvent], list[list[FundRequestEvent]], list[list[EvidenceEvent]]]

# Commands


@command("incentives.DraftClaim.v1")
class DraftClaim:
    claim_id: str
    kind: ClaimKind
    partner_id: str
    of_id: str
    items: tuple[ClaimItem, ...]
    proofs: tuple[ClaimProof, ...] = ()
    tax: ClaimTax | None = None
    by: str
    now: datetime
    sale: ClaimedSale | LeftOut = LEFT_OUT


@command("incentives.SubmitClaim.v1")
class SubmitClaim:
    """`request_ids` is the fund request of a fund claim, `sale_ids` and `plan_ids` the sale and the SPIFF of one for that.

    `evidence_ids` is all that the claim shows, `withdrawn_ids` what it showed when it was sent in before and shows no more.
    """

    claim_id: str
    request_ids: tuple[str, ...]
    evidence_ids: tuple[str, ...]
    now: datetime
    sale_ids: tuple[str, ...] = ()
    plan_ids: tuple[str, ...] = ()
    withdrawn_ids: tuple[str, ...] | LeftOut = LEFT_OUT


@command("incentives.DecideFundClaim.v1")
class DecideFundClaim:
    """`eligible` is what of the claim the fund takes part in. `roles` are the roles and duties of who decides.

    In instalments there are 2 to 24, a month apart, the first on `first_payable_on`.
    """

    claim_id: str
    fund_request_id: str
    fund_id: str
    budget_id: str
    outcome: Verdict
    eligible: Money
    reason: str
    by: str
    roles: tuple[str, ...]
    now: datetime
    books: InBooks = NO_BOOKS
    pay_as: PayAs = "payment"
    instalments: int | None = None
    first_payable_on: date | None = None


@command("incentives.DecideSpecialPriceClaim.v1")
class DecideSpecialPriceClaim:
    """Decides a claim for a special price. `orders` are the numbers under which its deal was ordered at distributors."""

    claim_id: str
    special_price_id: str
    outcome: Verdict
    reason: str
    by: str
    now: datetime
    books: InBooks = NO_BOOKS
    orders: tuple[str, ...] | LeftOut = LEFT_OUT


@command("incentives.ReleaseInstalments.v1")
class ReleaseInstalments:
    claim_id: str
    now: datetime


@command("incentives.CreditClaim.v1")
class CreditClaim:
    """A credit note was issued for a claim that is to be credited."""

    claim_id: str
    credit_note: str
    credited_on: date
    by: str
    now: datetime


@command("incentives.SettleClaim.v1")
class SettleClaim:
    """What a claim stands for was paid; of an award some lines."""

    claim_id: str
    payment_id: str
    paid_on: date
    now: datetime
    line_ids: tuple[str, ...] = ()


# State


@frozen
class Claim:
    """Where a claim stands, what it showed when it was sent in last, and what was approved."""

    stage: Stage = Stage.NONE
    drafted: ClaimDrafted | None = None
    reused: tuple[Reuse, ...] = ()
    approved: ClaimDecided | None = None
    released: frozenset[int] = frozenset()
    paid: frozenset[str] = frozenset()
    shown: tuple[str, ...] = ()

    @property
    def it(self) -> ClaimDrafted:
        """What is claimed. Raises NotFound for a claim that never was."""
        if self.drafted is None:
            raise NotFound
        return self.drafted

    @property
    def claimed(self) -> Money:
        """What all items come to."""
        return _sum_of(self.it.items)

    @property
    def counted_before(self) -> frozenset[str]:
        """The evidence that other claims showed before."""
        return frozenset(one.evidence_id for one in self.reused)


def _sum_of(items: Sequence[ClaimItem]) -> Money:
    return total((item.amount for item in items), items[0].amount.currency)


# Refusals


class ClaimInvalid(Invalid):
    """A claim has 1 to 500 items of one currency above nothing, 20 proofs at most, tax of 27 % at most, a unit a serial."""

    slug = "claim-invalid"


class ProofsMissing(Refused):
    """This activity is proven by documents that the claim does not bring: add them and submit it again."""

    slug = "proofs-missing"


class InstalmentsInvalid(Invalid):
    """Instalments are 2 to 24 parts of at least a minor unit, the first of them not before today."""

    slug = "instalments-invalid"


class ProofReused(Refused):
    """Another claim shows the same document: look at both, and give a reason to approve this one."""

    slug = "proof-reused"


# Decisions


def draft_claim(wish: DraftClaim, claim: Claim) -> list[ClaimEvent]:
    """Writes a claim, or writes it anew while it is a draft or was returned. A serial number is that of one unit."""
    if any(item.sold.serial and item.sold.quantity > 1 for item in wish.items if item.sold):
        raise ClaimInvalid("a serial number is that of one unit: give each its own row")
    return draft_claim_of_many_a_serial(wish, claim)


def draft_claim_of_many_a_serial(wish: DraftClaim, claim: Claim) -> list[ClaimEvent]:
    """As the second evaluator decided: a row could have more units than its serial number; tax at most what a rate makes."""
    drafted = draft_claim_at_any_tax(wish, claim)
    claimed = _sum_of(wish.items)
    if wish.tax and wish.tax.amount > most_tax(claimed):
        raise ClaimInvalid(f"tax is at most {TAX_PERCENT_MAX} % of what is claimed, here {_text(most_tax(claimed))}")
    return drafted


def draft_claim_at_any_tax(wish: DraftClaim, claim: Claim) -> list[ClaimEvent]:
    """As the first evaluator decided: the tax is whatever the claimant wrote."""
    if claim.stage is not Stage.NONE:
        must_be(claim, Stage.DRAFT, Stage.RETURNED)
    _sound(wish)
    return [
        ClaimDrafted(
            claim_id=wish.claim_id,
            kind=wish.kind,
            partner_id=wish.partner_id,
            of_id=wish.of_id,
            items=wish.items,
            proofs=wish.proofs,
            tax=wish.tax,
            drafted_by=wish.by,
            drafted_at=wish.now,
            sale=wish.sale,
        )
    ]


def _sound(wish: DraftClaim) -> None:
    if not 1 <= len(wish.items) <= ITEMS_MAX or len(wish.proofs) > PROOFS_MAX:
        raise ClaimInvalid
    taxed = [wish.tax.amount] if wish.tax else []
    amounts = [*(item.amount for item in wish.items), *taxed]
    one_currency = len({amount.currency for amount in amounts}) == 1
    if not one_currency or any(amount.amount <= 0 for amount in amounts):
        raise ClaimInvalid
    if any((item.sold is None) == (wish.kind != FUND_CLAIM) for item in wish.items):
        raise ClaimInvalid(
            "a claim for a special price or a SPIFF names what was sold in each item; a fund claim in none"
        )
    if (wish.kind == SPIFF_CLAIM) != bool(wish.sale) or (wish.kind == SPIFF_CLAIM and wish.tax):
        raise ClaimInvalid("a claim for a SPIFF names its sale, and has no tax; another claim names none")


def must_be(claim: Claim, *stages: Stage) -> None:
    if claim.stage is Stage.NONE:
        raise NotFound
    if claim.stage not in stages:
        raise WrongState(f"the claim is {claim.stage.value}", state=claim.stage.value)


def evidence_of(it: ClaimDrafted) -> tuple[str, ...]:
    """Everything that a claim shows: its documents, and its sold rows, by all that they are known by."""
    documents = (name for proof in it.proofs for name in proof.names)
    rows = (name for item in it.items if item.sold for name in _row_names(it, item.sold))
    return tuple(dict.fromkeys((*documents, *rows)))


def _row_names(it: ClaimDrafted, row: SoldRow) -> tuple[str, ...]:
    """A row of a special price by all its names; what a SPIFF pays follows from its sale, however a row is written."""
    return (row_evidence(it, row),) if it.kind == SPIFF_CLAIM else (*row.names, *row.part_of)


def _shown_in_part(it: ClaimDrafted) -> frozenset[str]:
    """The invoices of which a claim shows single units alone."""
    rows = [item.sold for item in it.items if item.sold and it.kind != SPIFF_CLAIM]
    return frozenset(name for row in rows for name in row.part_of) - {name for row in rows for name in row.names}


def evidence_as_written(it: ClaimDrafted) -> tuple[str, ...]:
    """What a claim showed by its words alone."""
    documents = (evidence_id for proof in it.proofs for evidence_id in proof.evidence_ids)
    rows = (row_evidence(it, item.sold) for item in it.items if item.sold)
    return tuple(dict.fromkeys((*documents, *rows)))


def row_evidence(it: ClaimDrafted, row: SoldRow) -> str:
    """The sold row as evidence: each SPIFF counts it for itself, beside the special price at which it was sold."""
    return f"row-{stable_id(it.of_id, row.evidence_id)}" if it.kind == SPIFF_CLAIM else row.evidence_id


def withdrawn_of(claim: Claim) -> tuple[str, ...]:
    """What a claim showed when it was sent in before and, as it is written now, shows no more."""
    shows = set(evidence_of(claim.it))
    return tuple(name for name in claim.shown if name not in shows)


def requests_of(it: ClaimDrafted) -> tuple[str, ...]:
    """The fund request that a claim is for; none of another one."""
    return (it.of_id,) if it.kind == FUND_CLAIM else ()


def award_of(it: ClaimDrafted) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sale and the plan of a claim for a SPIFF; none of another one."""
    return ((it.sale.opportunity_id,), (it.of_id,)) if it.sale else ((), ())


def submit_claim(
    wish: SubmitClaim,
    claim: Claim,
    requests: Sequence[FundRequest],
    shown: Sequence[Evidence],
    sales: Sequence[Sale],
    books: Sequence[Rulebook],
) -> Submitted:
    """Asks for the decision, in time and with the proofs that the activity needs.

    Whoever shows a document again is seen; a sold row counts for whoever showed it first. What a claim that is sent in
    again shows no more is anybody's to show.
    """
    if withdrawn_of(claim) != (wish.withdrawn_ids or ()):
        raise Raced
    submitted, claims, marks = submit_claim_for_ever(wish, claim, requests, shown, sales, books)
    names = (*wish.evidence_ids, *(wish.withdrawn_ids or ()))
    less = [_shown_less(wish, claim, name, one) for name, one in zip(names, shown, strict=True)]
    return submitted, claims, [[*gone, *mark] for gone, mark in zip_longest(less, marks, fillvalue=())]


def _shown_less(wish: SubmitClaim, claim: Claim, name: str, evidence: Evidence) -> Sequence[EvidenceEvent]:
    in_part = name in _shown_in_part(claim.it)
    if name in wish.evidence_ids and not in_part:
        return []
    return withdraw_evidence(name, evidence, (wish.claim_id, claim.it.partner_id), wish.now, in_part=in_part)


def submit_claim_for_ever(
    wish: SubmitClaim,
    claim: Claim,
    requests: Sequence[FundRequest],
    shown: Sequence[Evidence],
    sales: Sequence[Sale],
    books: Sequence[Rulebook],
) -> Submitted:
    """As the second evaluator decided: what a claim once showed stayed shown, whatever it was written anew to."""
    it = claim.it
    reused = [
        Reuse(evidence_id=name, claim_ids=others)
        for name, evidence in zip(wish.evidence_ids, shown, strict=False)
        if (others := _showed_before(wish.claim_id, name, evidence, _shown_in_part(it)))
    ]
    return _submitted(wish, claim, requests, shown, sales, books, evidence_of(it), _shown_in_part(it), _once(reused))


def _showed_before(claim_id: str, name: str, evidence: Evidence, in_part: frozenset[str]) -> tuple[str, ...]:
    if not name.startswith("row-"):
        return evidence.others(claim_id)
    return evidence.before(claim_id, part=name in in_part)


def _once(reused: Sequence[Reuse]) -> tuple[Reuse, ...]:
    """A document that is known as written is not told a second time as it is read; of a row each name counts."""
    told: list[Reuse] = []
    for one in reused:
        documents = {claim_id for other in told if _document(other) for claim_id in other.claim_ids}
        if not _document(one) or set(one.claim_ids) - documents:
            told.append(one)
    return tuple(told)


def _document(one: Reuse) -> bool:
    return one.evidence_id.startswith("document-")


def submit_claim_as_written(
    wish: SubmitClaim,
    claim: Claim,
    requests: Sequence[FundRequest],
    shown: Sequence[Evidence],
    sales: Sequence[Sale],
    books: Sequence[Rulebook],
) -> Submitted:
    """As the first evaluator decided: what was written in another case was other evidence, a returned row nobody's."""
    reused = tuple(
        Reuse(evidence_id=evidence_id, claim_ids=others)
        for evidence_id, evidence in zip(wish.evidence_ids, shown, strict=True)
        if (others := evidence.others(wish.claim_id))
    )
    return _submitted(wish, claim, requests, shown, sales, books, evidence_as_written(claim.it), frozenset(), reused)


def _submitted(  # noqa: PLR0913, PLR0917  the command, a state a parameter, and what the claim shows
    wish: SubmitClaim,
    claim: Claim,
    requests: Sequence[FundRequest],
    shown: Sequence[Evidence],
    sales: Sequence[Sale],
    books: Sequence[Rulebook],
    shows: tuple[str, ...],
    in_part: frozenset[str],
    reused: tuple[Reuse, ...],
) -> Submitted:
    must_be(claim, Stage.DRAFT, Stage.RETURNED)
    it = claim.it
    named = (shows, requests_of(it), *award_of(it))
    if named != (wish.evidence_ids, wish.request_ids, wish.sale_ids, wish.plan_ids):
        raise Raced
    if it.sale:
        in_time(award_at(it.of_id, it.partner_id, it.sale, sales[0], books), wish.now)
    for request in requests:
        _proven(it, request, wish.now)
    marks = [
        show_evidence(name, evidence, (wish.claim_id, it.partner_id), wish.now, part=name in in_part)
        for name, evidence in zip(wish.evidence_ids, shown, strict=False)
    ]
    submitted = ClaimSubmitted(
        claim_id=wish.claim_id,
        kind=it.kind,
        partner_id=it.partner_id,
        of_id=it.of_id,
        claimed=claim.claimed,
        reused=reused,
        submitted_at=wish.now,
    )
    claims: list[list[FundRequestEvent]] = [[_claimed(wish, it)] for _ in requests]
    return [submitted], claims, [list(mark) for mark in marks]


def _proven(it: ClaimDrafted, request: FundRequest, now: datetime) -> None:
    terms = claimable(request, now)
    if request.partner_id != it.partner_id:
        raise NotFound
    if it.items[0].amount.currency != terms.accepted.currency:
        raise ClaimInvalid(f"this request is in {terms.accepted.currency}")
    missing = sorted(set(terms.proofs) - {proof.kind for proof in it.proofs})
    if missing:
        raise ProofsMissing(f"still missing: {', '.join(missing)}", missing=missing)


def _claimed(wish: SubmitClaim, it: ClaimDrafted) -> FundRequestClaimed:
    return FundRequestClaimed(
        fund_request_id=it.of_id, partner_id=it.partner_id, claim_id=wish.claim_id, claimed_at=wish.now
    )


Deciding = DecideFundClaim | DecideSpecialPriceClaim
FundDecided = tuple[list[ClaimDecided], list[FundRequestEvent], list[BudgetEvent]]
FundTold = tuple[list[ClaimEvent], list[FundRequestEvent], list[BudgetEvent]]


def decide_fund_claim(
    wish: DecideFundClaim, claim: Claim, request: FundRequest, share: Budget, book: Rulebook
) -> FundTold:
    """Approves what is eligible within what is left, denies, or returns; what is approved is payable with its tax.

    Tax does not draw on the fund, and counts in the approver's limit. What was accepted is paid though the fund has ended
    since. Who has to write a claim anew is asked to.
    """
    version = request.terms.plan_version if request.terms else 0
    rules = partial(fund_of, book, version, wish.now)
    decided, requests, moved = _decide_fund_claim(wish, claim, request, share, rules, of_approved=True)
    return [*decided, *_asked_anew(wish, claim)], requests, moved


def decide_fund_claim_in_force(
    wish: DecideFundClaim, claim: Claim, request: FundRequest, share: Budget, book: Rulebook
) -> FundTold:
    """As the fifth evaluator decided: no claim was approved once its fund had ended."""
    decided, requests, moved = decide_fund_claim_unasked(wish, claim, request, share, book)
    return [*decided, *_asked_anew(wish, claim)], requests, moved


def _asked_anew(wish: Deciding, claim: Claim) -> list[ClaimReturned]:
    if wish.outcome != RETURNED:
        return []
    return [ClaimReturned(claim_id=wish.claim_id, partner_id=claim.it.partner_id, returned_at=wish.now)]


def decide_fund_claim_unasked(
    wish: DecideFundClaim, claim: Claim, request: FundRequest, share: Budget, book: Rulebook
) -> FundDecided:
    """As the fourth evaluator decided: nobody was asked for what was returned."""
    return _decide_fund_claim(wish, claim, request, share, _in_force(book, wish), of_approved=True)


def decide_fund_claim_tolerant_again(
    wish: DecideFundClaim, claim: Claim, request: FundRequest, share: Budget, book: Rulebook
) -> FundDecided:
    """As the third evaluator decided: each claim for a request had the whole tolerance for itself."""
    return decide_fund_claim_unasked(wish, claim, replace(request, beyond=None), share, book)


def decide_fund_claim_with_all_tax(
    wish: DecideFundClaim, claim: Claim, request: FundRequest, share: Budget, book: Rulebook
) -> FundDecided:
    """As the second evaluator decided: all tax that was claimed, beside the approver's limit."""
    alone = replace(request, beyond=None)
    return _decide_fund_claim(wish, claim, alone, share, _in_force(book, wish), of_approved=False)


def _in_force(book: Rulebook, wish: DecideFundClaim) -> Callable[[], FundRules]:
    return lambda: fund_at(book, wish.now)[1]


def _decide_fund_claim(
    wish: DecideFundClaim,
    claim: Claim,
    request: FundRequest,
    share: Budget,
    rules: Callable[[], FundRules],
    *,
    of_approved: bool,
) -> FundDecided:
    must_be(claim, Stage.SUBMITTED)
    of_request = (FUND_CLAIM, wish.fund_request_id, wish.budget_id)
    if request.terms is None or (claim.it.kind, claim.it.of_id, request.budget_id) != of_request:
        raise NotFound
    if wish.outcome == APPROVED:
        amount = _fund_amount(wish, request, request.terms)
        tax = _tax_on(claim, amount, of_approved=of_approved)
        _approvable(wish, claim, rules, amount + tax.amount if tax and of_approved else amount)
        approved = paid_as(wish, claim, _approved(wish, claim, request, request.terms, tax))
        return _drawn(wish, request, share, approved)
    return _drawn(wish, request, share, refused_claim(wish, claim))


def paid_as(wish: DecideFundClaim, claim: Claim, decided: ClaimDecided) -> ClaimDecided:
    """What was approved as it is to be paid: at once, by a credit note, or in instalments. Raises InstalmentsInvalid."""
    if wish.pay_as == PAYMENT or decided.amount.zero:
        return decided
    if wish.pay_as == CREDIT:
        step = "a credit note of the vendor stands for it"
        journal = _owed(claim.it, decided, wish.books, lambda whole, worth: [(CREDIT_DUE, whole, worth)])
        return replace(decided, pay_as=CREDIT, journal=journal, steps=(*decided.steps, step))
    parts: list[Instalment] = []

    def divided(whole: Money, worth: Money | None) -> list[Owed]:
        parts.extend(_instalments(wish, whole, worth))
        return [
            (FUND_MONEY if part.payable_on <= today(wish.now) else HELD_FUND, part.amount, part.books) for part in parts
        ]

    journal = _owed(claim.it, decided, wish.books, divided)
    steps = tuple(f"instalment {part.number}: {_text(part.amount)} on {iso(part.payable_on)}" for part in parts)
    return replace(
        decided, pay_as=INSTALMENTS, instalments=tuple(parts), journal=journal, steps=(*decided.steps, *steps)
    )


Owed = tuple[Side, Money, Money | None]


def _owed(
    it: ClaimDrafted, decided: ClaimDecided, books: InBooks, divided: Callable[[Money, Money | None], list[Owed]]
) -> Journal:
    """Expense and tax against what is owed for both, divided over the accounts where that stands."""
    costs: list[tuple[Side, Money]] = [(("expense", it.kind), decided.amount)]
    costs += [(("vat", decided.tax.country), decided.tax.amount)] if decided.tax else []
    debits = [(side, part, books.amount(part, decided.decided_on)) for side, part in costs]
    worths = [worth for _, _, worth in debits if worth]
    whole = total((part for _, part, _ in debits), decided.amount.currency)
    credits = divided(whole, total(worths, worths[0].currency) if worths else None)
    return Journal(
        entries=(
            *(entry(side, part, it.partner_id, it.claim_id, worth) for side, part, worth in debits),
            *(
                entry(side, -part, it.partner_id, it.claim_id, -worth if worth else None)
                for side, part, worth in credits
            ),
        )
    )


def _instalments(wish: DecideFundClaim, whole: Money, worth: Money | None) -> list[Instalment]:
    """Equal parts, a month apart; what does not divide goes to the first ones."""
    count, first = wish.instalments or 0, wish.first_payable_on or today(wish.now)
    low, high = INSTALMENTS_RANGE
    if not low <= count <= high or first < today(wish.now):
        raise InstalmentsInvalid
    amounts, books = _equal(whole, count), _equal(worth, count) if worth else [None] * count
    if any(part.zero for part in amounts):
        raise InstalmentsInvalid
    return [
        Instalment(number=place + 1, amount=amount, payable_on=months_after(first, place), books=in_books)
        for place, (amount, in_books) in enumerate(zip(amounts, books, strict=True))
    ]


def _equal(whole: Money, count: int) -> list[Money]:
    shares = largest_remainder(whole.amount, [Decimal(1)] * count, minor_unit(whole.currency))
    return [Money(amount=share, currency=whole.currency) for share in shares]


def release_instalments(wish: ReleaseInstalments, claim: Claim) -> list[ClaimEvent]:
    """Makes payable every instalment whose day has come."""
    if claim.approved is None:
        return []
    on = today(wish.now)
    return [
        _released(part, claim.approved, wish.now)
        for part in claim.approved.instalments
        if part.payable_on <= on and part.number not in claim.released
    ]


def _released(part: Instalment, it: ClaimDecided, now: datetime) -> ClaimInstalmentReleased:
    return ClaimInstalmentReleased(
        claim_id=it.claim_id,
        partner_id=it.partner_id,
        payee_id=it.payee_id,
        number=part.number,
        amount=part.amount,
        payable_on=part.payable_on,
        journal=move(
            part.amount,
            debit=HELD_FUND,
            credit=FUND_MONEY,
            payee_id=it.payee_id,
            cause=instalment_id(it.claim_id, part.number),
            books=part.books,
        ),
        released_at=now,
    )


def instalment_id(claim_id: str, number: int) -> str:
    """The name under which an instalment stands in a statement."""
    return f"{claim_id}/{number}"


def credit_claim(wish: CreditClaim, claim: Claim) -> list[ClaimEvent]:
    """The credit note was issued: the claim is settled by it."""
    must_be(claim, Stage.APPROVED)
    it = claim.approved
    if it is None or it.pay_as != CREDIT:
        raise WrongState("the claim is not to be credited", state=claim.stage.value)
    owed = next(one for one in it.journal.entries if one.account == "credit_due")
    credited = ClaimCredited(
        claim_id=wish.claim_id,
        partner_id=it.partner_id,
        payee_id=it.payee_id,
        credit_note=wish.credit_note,
        amount=-owed.amount,
        journal=move(
            -owed.amount,
            debit=CREDIT_DUE,
            credit=RECEIVABLE,
            payee_id=it.payee_id,
            cause=wish.claim_id,
            books=-owed.books_amount if owed.books_amount else None,
        ),
        credited_on=wish.credited_on,
        credited_by=wish.by,
        credited_at=wish.now,
    )
    settled = SettleClaim(claim_id=wish.claim_id, payment_id=wish.credit_note, paid_on=wish.credited_on, now=wish.now)
    return [credited, *settle_claim(settled, claim)]


def decide_fund_claim_together(
    wish: DecideFundClaim, claim: Claim, request: FundRequest, share: Budget, book: Rulebook
) -> FundDecided:
    """As the first evaluator decided: what is approved stands with the earnings."""
    claims, requests, moved = decide_fund_claim_with_all_tax(wish, claim, request, share, book)
    return [replace(one, journal=_together(one.journal)) for one in claims], requests, moved


def _together(journal: Journal) -> Journal:
    return Journal(entries=tuple(replace(e, of=None) if e.account == "payable" else e for e in journal.entries))


def _fund_amount(wish: DecideFundClaim, request: FundRequest, terms: FundTerms) -> Money:
    rest = request.rest or none_of(terms.accepted.currency)
    if wish.eligible.currency != rest.currency:
        raise ClaimInvalid(f"what is eligible is in {rest.currency}, as the request is")
    return reimbursed(wish.eligible, Decimal(terms.participation_percent), rest, request.tolerance)


def _approvable(wish: DecideFundClaim, claim: Claim, rules: Callable[[], FundRules], amount: Money) -> None:
    """Raises where a person may not approve this much, tax included."""
    reviewed(claim, wish.reason)
    if not none_of(amount.currency) < wish.eligible <= claim.claimed:
        raise ClaimInvalid("what is eligible is above nothing and at most what was claimed")
    limit = within_limit(rules().limits, wish.roles, amount)
    if limit is not None:
        raise OverLimit(limit=str(limit.amount))


def _approved(
    wish: DecideFundClaim, claim: Claim, request: FundRequest, terms: FundTerms, tax: ClaimTax | None
) -> ClaimDecided:
    amount = _fund_amount(wish, request, terms)
    rest = request.rest or none_of(amount.currency)
    steps = (
        f"{terms.participation_percent} % of the {_text(wish.eligible)} that are eligible",
        f"at most the {_text(rest)} that are reserved and {_text(request.tolerance)} of tolerance",
        f"makes {_text(amount)}",
    )
    return replace(_verdict(wish, claim, amount, tax, steps), eligible=wish.eligible)


def _drawn(wish: DecideFundClaim, request: FundRequest, share: Budget, decided: ClaimDecided) -> FundDecided:
    """The claim's decision with what it does to its request and to the partner's share."""
    drawn, moved = drawn_for(wish.fund_request_id, wish.claim_id, decided.amount, request, share, wish.now)
    events, budget = _ended_late(wish, drawn, moved, request, share)
    left = Budgets.fold(budget, share).available
    return [replace(decided, fund_id=wish.fund_id, available=left)], events, budget


def _ended_late(
    wish: DecideFundClaim,
    events: list[FundRequestEvent],
    moved: list[BudgetEvent],
    request: FundRequest,
    share: Budget,
) -> tuple[list[FundRequestEvent], list[BudgetEvent]]:
    """A request whose time is over ends with its last open claim."""
    after = FundRequests.fold(events, request)
    over = after.claim_by is not None and after.claim_by < today(wish.now)
    if after.open_claims or not over:
        return events, moved
    outcome = COMPLETED if after.drawn else "expired"
    why = Reasoned("the last claim was decided after the day to claim by", "clock", wish.now)
    last, gone = ended(wish.fund_request_id, after, Budgets.fold(moved, share), outcome, why)
    return [*events, *last], [*moved, *gone]


PriceDecided = tuple[list[ClaimEvent], list[SpecialPriceEvent]]


def decide_special_price_claim(wish: DecideSpecialPriceClaim, claim: Claim, agreed: SpecialPrice) -> PriceDecided:
    """Approves the smaller of what was claimed and what the rows come to; where they differ it is first disputed.

    Tax is payable on what is approved. Who has to write a claim anew is asked to. A unit counts once, however it is
    written, and not before it is sold.
    """
    decided, used = _decide_special_price_claim(wish, claim, agreed, of_approved=True, today=today(wish.now))
    return [*decided, *_asked_anew(wish, claim)], used


def decide_special_price_claim_as_written(
    wish: DecideSpecialPriceClaim, claim: Claim, agreed: SpecialPrice
) -> PriceDecided:
    """As the third evaluator decided: a unit that was written otherwise counted again, and one that was not sold yet."""
    decided, used = decide_special_price_claim_unasked(wish, claim, agreed)
    return [*decided, *_asked_anew(wish, claim)], used


def decide_special_price_claim_unasked(
    wish: DecideSpecialPriceClaim, claim: Claim, agreed: SpecialPrice
) -> PriceDecided:
    """As the second evaluator decided: nobody was asked for what was returned."""
    return _decide_special_price_claim(wish, claim, agreed, of_approved=True)


def decide_special_price_claim_with_all_tax(
    wish: DecideSpecialPriceClaim, claim: Claim, agreed: SpecialPrice
) -> PriceDecided:
    """As the first evaluator decided: all tax that was claimed is payable."""
    return _decide_special_price_claim(wish, claim, agreed, of_approved=False)


def _decide_special_price_claim(
    wish: DecideSpecialPriceClaim,
    claim: Claim,
    agreed: SpecialPrice,
    *,
    of_approved: bool,
    today: date | None = None,
) -> PriceDecided:
    must_be(claim, Stage.SUBMITTED, Stage.DISPUTED)
    it = claim.it
    if (it.kind, it.of_id) != (SPECIAL_PRICE, wish.special_price_id) or agreed.partner_id != it.partner_id:
        raise NotFound
    if wish.outcome != APPROVED:
        return [refused_claim(wish, claim)], []
    reviewed(claim, wish.reason)
    if claim.claimed.currency != agreed.currency:
        raise ClaimInvalid(f"this special price is in {agreed.currency}: return the claim")
    rows = [item.sold for item in it.items if item.sold]
    made = calculated(agreed, rows, claim.counted_before, wish.orders or (), today=today)
    amount = min(claim.claimed, made.amount)
    steps = (*made.steps, f"claimed {_text(claim.claimed)}, calculated {_text(made.amount)}")
    if claim.stage is Stage.SUBMITTED and claim.claimed != made.amount:
        disputed = _verdict(wish, claim, none_of(amount.currency), None, steps)
        return [replace(disputed, outcome=DISPUTED, eligible=made.amount)], []
    tax = _tax_on(claim, amount, of_approved=of_approved)
    decided = replace(_verdict(wish, claim, amount, tax, steps), eligible=made.amount)
    return [decided], used_up(wish.special_price_id, wish.claim_id, made, wish.now)


def reviewed(claim: Claim, reason: str) -> None:
    """Evidence that was shown before needs a person's reason; sold rows are counted once by themselves."""
    documents = [one for one in claim.reused if not one.evidence_id.startswith("row-")]
    if documents and not reason.strip():
        raise ProofReused(claims=sorted({claim_id for one in documents for claim_id in one.claim_ids}))


def refused_claim(wish: Deciding | DecideSpiffClaim, claim: Claim) -> ClaimDecided:
    """What a person denies or returns, with the reason. Raises ClaimInvalid without one."""
    if not wish.reason.strip():
        raise ClaimInvalid("say why")
    return said_of(wish, claim, (wish.reason,))


def _tax_on(claim: Claim, amount: Money, *, of_approved: bool) -> ClaimTax | None:
    """The tax that is payable with an amount: that on what was approved, or, as before, all that was claimed."""
    charged = claim.it.tax
    if charged is None or amount.zero:
        return None
    if not of_approved:
        return charged
    part = tax_on(amount, claim.claimed, charged.amount)
    return None if part.zero else replace(charged, amount=part)


def _verdict(wish: Deciding, claim: Claim, amount: Money, tax: ClaimTax | None, steps: tuple[str, ...]) -> ClaimDecided:
    it = claim.it
    said = said_of(wish, claim, (*steps, *_taxed(it, tax)))
    return replace(said, amount=amount, tax=tax, journal=_payable(it, amount, tax, wish.books, said.decided_on))


def _taxed(it: ClaimDrafted, tax: ClaimTax | None) -> tuple[str, ...]:
    """Says what tax goes with it, where that is not all that was claimed."""
    if it.tax is None or tax is None or tax == it.tax:
        return ()
    return (f"of the {_text(it.tax.amount)} of tax in {tax.country}, {_text(tax.amount)} are on what was approved",)


def said_of(wish: Deciding | DecideSpiffClaim, claim: Claim, steps: tuple[str, ...]) -> ClaimDecided:
    """A decision that posts nothing."""
    it = claim.it
    return ClaimDecided(
        claim_id=wish.claim_id,
        kind=it.kind,
        partner_id=it.partner_id,
        payee_id=it.partner_id,
        of_id=it.of_id,
        outcome=wish.outcome,
        claimed=claim.claimed,
        eligible=none_of(claim.claimed.currency),
        amount=none_of(claim.claimed.currency),
        tax=None,
        steps=steps,
        journal=NO_JOURNAL,
        reason=wish.reason,
        decided_on=today(wish.now),
        decided_by=wish.by,
        decided_at=wish.now,
    )


def _payable(it: ClaimDrafted, amount: Money, tax: ClaimTax | None, books: InBooks, on: date) -> Journal:
    """Expense, and the tax on it, become payable to the claimant."""
    if amount.zero:
        return NO_JOURNAL
    debits: list[tuple[Side, Money]] = [(("expense", it.kind), amount)]
    debits += [(("vat", tax.country), tax.amount)] if tax else []
    owed: Side = FUND_MONEY if it.kind == FUND_CLAIM else "payable"
    entries = []
    for side, part in debits:
        worth = books.amount(part, on)
        entries.append(entry(side, part, it.partner_id, it.claim_id, worth))
        entries.append(entry(owed, -part, it.partner_id, it.claim_id, -worth if worth else None))
    return Journal(entries=tuple(entries))


def _text(amount: Money) -> str:
    return f"{amount.amount} {amount.currency}"


def settle_claim(wish: SettleClaim, claim: Claim) -> list[ClaimEvent]:
    """What was approved has been paid; an award with its last line."""
    if claim.stage is not Stage.APPROVED or claim.approved is None:
        return []
    it = claim.approved
    new = tuple(line_id for line_id in wish.line_ids if line_id not in claim.paid)
    if it.line_ids and set(it.line_ids) - claim.paid - set(new):
        return [_lines_paid(wish, it, new)] if new else []
    return [
        ClaimSettled(
            claim_id=wish.claim_id,
            kind=it.kind,
            partner_id=it.partner_id,
            payee_id=it.payee_id,
            of_id=it.of_id,
            fund_id=it.fund_id,
            amount=it.amount,
            payment_id=wish.payment_id,
            paid_on=wish.paid_on,
            settled_at=wish.now,
        )
    ]


def _lines_paid(wish: SettleClaim, it: ClaimDecided, line_ids: tuple[str, ...]) -> ClaimLinesPaid:
    return ClaimLinesPaid(
        claim_id=wish.claim_id,
        partner_id=it.partner_id,
        line_ids=line_ids,
        payment_id=wish.payment_id,
        paid_on=wish.paid_on,
        noted_at=wish.now,
    )


# Evolve


def evolve(claim: Claim, happened: ClaimEvent) -> Claim:
    match happened:
        case ClaimDrafted():
            return Claim(stage=Stage.DRAFT, drafted=happened, shown=claim.shown)
        case ClaimSubmitted():
            shown = tuple(dict.fromkeys((*evidence_of(claim.it), *evidence_as_written(claim.it))))
            return replace(claim, stage=Stage.SUBMITTED, reused=happened.reused, shown=shown)
        case ClaimDecided():
            approved = happened if happened.outcome == APPROVED else None
            now = {part.number for part in happened.instalments if part.payable_on <= happened.decided_on}
            return replace(claim, stage=Stage(happened.outcome), approved=approved, released=frozenset(now))
        case ClaimInstalmentReleased():
            return replace(claim, released=claim.released | {happened.number})
        case ClaimCredited() | ClaimReturned():
            return claim
        case ClaimLinesPaid():
            return replace(claim, paid=claim.paid | set(happened.line_ids))
        case ClaimSettled():
            return replace(claim, stage=Stage.SETTLED)
        case _:
            assert_never(happened)


Claims = Decider[Claim, ClaimEvent](kind="claim", initial=Claim(), evolve=evolve)
