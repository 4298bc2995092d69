"""The credit of every pool of a sale, decided together from what the sale's own stream holds."""

from collections.abc import Sequence
from datetime import datetime

from chassis.decider import Raced
from chassis.rulebook import Rulebook, Version
from services.attribution.domain.credit import (
    BUILT_IN,
    Credit,
    CreditAllocated,
    CreditEvent,
    Policy,
    Sale,
    allocate_credit,
    follow_credit,
)
from services.attribution.domain.credit_policy import CREDIT_POLICY, KIND
from services.attribution.domain.opportunity import Opportunity
from services.attribution.domain.stages import WON


def policy_in_force(book: Rulebook, at: datetime) -> Policy:
    """The published credit policy that holds, else the built-in one."""
    return _policy(book.in_force(at))


def policy_of(last: CreditAllocated, book: Rulebook) -> Policy:
    """The credit policy that a revision was decided by."""
    return _policy(book.version(last.policy_version))


def _policy(version: Version | None) -> Policy:
    if version is None or version.kind != KIND:
        return BUILT_IN
    return Policy(
        policy_id=version.rulebook_id,
        version=version.version,
        sha256=version.sha256,
        body=CREDIT_POLICY.read(version.body),
    )


def pools_of(policy: Policy) -> tuple[str, ...]:
    """The names of the policy's pools, in its order."""
    return tuple(pool.name for pool in policy.body.pools)


def allocate_all(
    opportunity_id: str,
    opportunity: Opportunity,
    pools: Sequence[str],
    credits: Sequence[Credit],
    policy: Policy,
    now: datetime,
) -> list[list[CreditEvent]]:
    """New revisions, one list a pool: provisional as of `now` while the sale is open, final as of its close once won.

    Raises Raced when the policy's pools are no longer those that the command was prepared for.
    """
    if tuple(pools) != pools_of(policy):
        raise Raced
    sale = sale_of(opportunity_id, opportunity, now)
    return [allocate_credit(sale, pool, policy, credit) for pool, credit in zip(pools, credits, strict=True)]


def follow_pools(
    sale: Sale, pools: Sequence[str], credits: Sequence[Credit], book: Rulebook, *, undone: bool
) -> list[list[CreditEvent]]:
    """The credit of these pools by the partners that count now, one list a pool; see `follow_credit`."""
    return [
        follow_credit(sale, pool, policy_of(credit.last, book) if credit.last else BUILT_IN, credit, undone=undone)
        for pool, credit in zip(pools, credits, strict=True)
    ]


def sale_of(opportunity_id: str, opportunity: Opportunity, now: datetime) -> Sale:
    """What credit is decided on: as of its close where it is won, else as of now."""
    win = opportunity.win if opportunity.stage == WON else None
    registration = opportunity.registration
    return Sale(
        opportunity_id=opportunity_id,  # type: ignore[arg-type]
        registration_id=opportunity.registration_id,
        touches=opportunity.touches,
        protected_until=registration.protected_until if registration else None,
        cutoff_at=win.cutoff_at if win else now,
        closed_on=win.closed_on if win else now.date(),
        win_no=win.win_no if win else None,
        mergers=opportunity.mergers,
    )
