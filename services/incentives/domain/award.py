"""The decision on a claim for a SPIFF: what fits the sale earns its lines, by the engine that rates every sale.

The award is lines of the sale like any other: held, released, taken back by a refund, drawn from the SPIFF's budget.
"""

from collections.abc import Sequence
from dataclasses import replace

from chassis.decider import NotFound
from contracts.values import Money, total
from services.incentives.domain.awarding import NothingAwarded, award_at, beside_others, compared
from services.incentives.domain.claim import (
    APPROVED,
    DISPUTED,
    SPIFF_CLAIM,
    Claim,
    ClaimDecided,
    ClaimEvent,
    ClaimInvalid,
    Stage,
    must_be,
    refused_claim,
    reviewed,
    row_evidence,
    said_of,
)
from services.incentives.domain.dues import Known
from services.incentives.domain.earning import earn_claimed
from services.incentives.domain.posting import AtHand, Decided
from services.incentives.domain.sale import Sale
from services.incentives.domain.sale_commands import DecideSpiffClaim
from services.incentives.domain.sale_events import AwardMissed, FactQuarantined, PayoutCalculated


def decide_spiff_claim(
    wish: DecideSpiffClaim, claim: Claim, sale: Sale, at_hand: AtHand, known: Known
) -> tuple[list[ClaimEvent], Decided]:
    """Approves what fits the sale, denies, or returns; what does not fit is first disputed, and then needs a reason."""
    must_be(claim, Stage.SUBMITTED, Stage.DISPUTED)
    _same(wish, claim)
    if wish.outcome != APPROVED:
        return [refused_claim(wish, claim)], Decided()
    reviewed(claim, wish.reason)
    award = award_at(wish.plan_id, wish.partner_id, wish, sale, known.books)
    rows = [(item.sold, row_evidence(claim.it, item.sold)) for item in claim.it.items if item.sold]
    found = compared(award, rows, claim.counted_before)
    if claim.stage is Stage.SUBMITTED and not found.whole:
        return [replace(said_of(wish, claim, found.steps), outcome=DISPUTED)], Decided()
    if not found.whole and not wish.reason.strip():
        raise ClaimInvalid("say why")
    beside_others(award, known.books)
    made = earn_claimed(wish, sale, at_hand, known)
    return [_approved(wish, claim, found.steps, made)], made


def _same(wish: DecideSpiffClaim, claim: Claim) -> None:
    """Raises NotFound where the wish is not about what was claimed."""
    it = claim.it
    if not it.sale or it.kind != SPIFF_CLAIM:
        raise NotFound
    claimed = (it.of_id, it.partner_id, it.sale.opportunity_id, it.sale.win_no, it.sale.claimant_id)
    if claimed != (wish.plan_id, wish.partner_id, wish.opportunity_id, wish.win_no, wish.claimant_id):
        raise NotFound


def _approved(wish: DecideSpiffClaim, claim: Claim, steps: Sequence[str], made: Decided) -> ClaimDecided:
    lines = [
        one
        for one in made.sale
        if isinstance(one, PayoutCalculated)
        and (one.key.plan_id, one.key.partner_id) == (wish.plan_id, wish.partner_id)
    ]
    paying = [line for line in lines if not line.amount.zero]
    if not paying:
        raise NothingAwarded(reason_code=_why_nothing(wish, made))
    amount = total((line.amount for line in paying), paying[0].amount.currency)
    said: tuple[str, ...] = (
        f"the sale earns {_text(amount)} under version {paying[0].plan_version} of {wish.plan_id}",
    )
    said += (f"claimed {_text(claim.claimed)}",) if amount != claim.claimed else ()
    line_ids = tuple(line.line_id for line in paying)
    return replace(said_of(wish, claim, (*steps, *said)), eligible=amount, amount=amount, line_ids=line_ids)


def _why_nothing(wish: DecideSpiffClaim, made: Decided) -> str:
    for one in made.sale:
        if isinstance(one, AwardMissed) and one.key.plan_id == wish.plan_id:
            return one.reason_code
        if isinstance(one, FactQuarantined) and one.plan_id == wish.plan_id:
            return one.reason_code
    return "not-counted"


def _text(amount: Money) -> str:
    return f"{amount.amount} {amount.currency}"
