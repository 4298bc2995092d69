"""Which of attribution's events the other services hear, and in what words."""

from collections.abc import Callable
from typing import Any

from chassis.event import PublicEvent, Seen
from contracts import attribution as public
from contracts.shared import of_rulebook
from services.attribution.domain import credit, incumbency, opportunity, touch


def publish(seen: Seen) -> PublicEvent | None:
    """The public form of a recorded event, or None."""
    translate = TRANSLATIONS.get(type(seen.event))
    return translate(seen.event) if translate else of_rulebook(seen)


def _opened(it: opportunity.OpportunityOpened) -> PublicEvent:
    return public.OpportunityLinked(
        opportunity_id=it.opportunity_id,
        registration_id=it.registration_id,
        partner_id=it.partner_id,
        external_id=it.external_id,
        method="named" if it.external_id else "opened",
        linked_at=it.opened_at,
    )


def _stage(it: opportunity.DealStageChanged | opportunity.DealReopened) -> PublicEvent:
    return public.DealStageChanged(
        opportunity_id=it.opportunity_id,
        registration_id=it.registration_id,
        partner_ids=it.partner_ids,
        from_stage=it.from_stage,
        to_stage=it.to_stage,
        true_at=it.true_at,
        amount=it.amount,
        expected_close_on=it.expected_close_on,
    )


def _won(it: opportunity.DealWon) -> PublicEvent:
    return public.DealWon(
        opportunity_id=it.opportunity_id,
        registration_id=it.registration_id,
        account_id=it.account_id,  # type: ignore[arg-type]
        partner_ids=it.partner_ids,
        win_no=it.win_no,
        amount=it.amount,
        lines=it.lines,
        deal_type=it.deal_type,
        closed_on=it.closed_on,
        won_at=it.won_at,
    )


def _lost(it: opportunity.DealLost) -> PublicEvent:
    return public.DealLost(
        opportunity_id=it.opportunity_id,
        registration_id=it.registration_id,
        partner_ids=it.partner_ids,
        closed_on=it.closed_on,
        reason_code=it.reason_code,
    )


def _reversed(it: opportunity.RevenueReversed) -> PublicEvent:
    return public.RevenueReversed(
        opportunity_id=it.opportunity_id,
        registration_id=it.registration_id,
        partner_ids=it.partner_ids,
        win_no=it.win_no,
        reversal_id=it.reversal_id,
        amount=it.amount,
        lines=it.lines,
        remaining=it.remaining,
        reason_code=it.reason_code,
        occurred_on=it.occurred_on,
    )


def _touched(it: touch.TouchRecorded) -> PublicEvent | None:
    """A partner's own claim stays private until it is confirmed."""
    if it.status != touch.CONFIRMED:
        return None
    return public.TouchRecorded(
        touch_id=it.touch_id,
        touch_type=it.touch_type,
        partner_id=it.partner_id,
        role=it.role,
        opportunity_id=it.opportunity_id,
        registration_id=it.registration_id,
        account_id=it.account_id,
        touched_at=it.touched_at,
        source=it.source,
    )


def _credited(it: credit.CreditAllocated) -> PublicEvent:
    return public.CreditAllocated(
        opportunity_id=it.opportunity_id,
        registration_id=it.registration_id,
        pool=it.pool,
        revision=it.revision,
        status=it.status,
        win_no=it.win_no,
        shares=it.shares,
        policy_id=it.policy_id,
        policy_version=it.policy_version,
        model=it.model,
        reason_code=it.reason_code,
        restates_closed=it.restates_closed,
        cutoff_at=it.cutoff_at,
        decision_sha256=it.decision_sha256,
    )


def _incumbent(it: incumbency.IncumbentChanged) -> PublicEvent:
    """Why, and who said so, stays here."""
    return public.IncumbentChanged(
        account_id=it.account_id,
        product_family=it.product_family,
        partner_id=it.partner_id,
        from_on=it.from_on,
        until_on=it.until_on,
    )


TRANSLATIONS: dict[type[Any], Callable[[Any], PublicEvent | None]] = {
    opportunity.OpportunityOpened: _opened,
    opportunity.DealStageChanged: _stage,
    opportunity.DealReopened: _stage,
    opportunity.DealWon: _won,
    opportunity.DealLost: _lost,
    opportunity.RevenueReversed: _reversed,
    touch.TouchRecorded: _touched,
    credit.CreditAllocated: _credited,
    incumbency.IncumbentChanged: _incumbent,
}
