"""Whether a customer is free, as a partner, or the vendor for it, may ask first. Only keys can say that it is taken."""

from dataclasses import dataclass
from datetime import date, datetime

from chassis.decider import Decider, Problem
from chassis.event import LEFT_OUT, LeftOut, command, event, frozen
from chassis.rulebook import Reason
from contracts.values import PartnerId, RegistrationId
from services.registration.domain.claim import Claim
from services.registration.domain.deal import AlreadyRegistered
from services.registration.domain.matching import DECIDE_FIRST
from services.registration.domain.screening import REJECT, Screening, reasons_of

FREE, LIKELY_FREE, NEEDS_REVIEW, TAKEN, NOT_ELIGIBLE = "free", "likely_free", "needs_review", "taken", "not_eligible"
CHECKS_A_DAY = 30
TWICE = Reason(code=AlreadyRegistered.slug, text=AlreadyRegistered().detail, rule="", version=0)
"""Why nothing would come of a registration on which its partner has a deal."""
ALWAYS_ASKED = ("review-required", "identity-unconfirmed")


def availability(screening: Screening, *, known: bool, already: RegistrationId | None = None) -> str:
    """One word for a screening that nobody has submitted; `already` is the asking partner's own deal on the same."""
    if already:
        return NOT_ELIGIBLE
    if any(conflict.blocks for conflict in screening.conflicts):
        return TAKEN
    if any(check.code == "excluded" for check in screening.failed):
        return TAKEN
    if screening.outcome == REJECT:
        return NOT_ELIGIBLE
    asked = any(check.code not in ALWAYS_ASKED for check in screening.failed)
    if asked or any(finding.match in DECIDE_FIRST for finding in screening.findings):
        return NEEDS_REVIEW
    return FREE if known else LIKELY_FREE


@frozen
class Rival:
    """Who wants the same, as the vendor reads it. State: pending, waiting, held or contested; match: a screening's."""

    registration_id: RegistrationId
    partner_id: PartnerId
    match: str
    state: str
    submitted_at: datetime
    protected_until: datetime | None = None
    blocks: bool


def rivals_of(screening: Screening) -> tuple[Rival, ...]:
    """Everybody who wants the same, whoever keeps it waiting first."""
    met = [conflict for conflict in screening.conflicts if conflict.meets.complete]
    return tuple(
        Rival(
            registration_id=one.claim.deal,
            partner_id=one.claim.partner_id,
            match=one.match,
            state=one.claim.state,
            submitted_at=one.claim.submitted_at,
            protected_until=_end_of(one.claim),
            blocks=one.blocks,
        )
        for one in sorted(met, key=lambda one: not one.blocks)
    )


def _end_of(claim: Claim) -> datetime | None:
    return claim.protection.end if claim.protection else None


@frozen
class ForVendor:
    """What the vendor is told besides, who asks for a partner: why, and who wants the same. `by` is the person."""

    by: str
    reasons: tuple[Reason, ...]
    rivals: tuple[Rival, ...]


def for_vendor(by: str, screening: Screening, already: RegistrationId | None = None) -> ForVendor:
    """All that a person of the vendor learns from a screening that nobody has submitted."""
    why = reasons_of(screening.failed) if already is None else (TWICE,)
    return ForVendor(by=by, reasons=why, rivals=rivals_of(screening))


class TooManyChecks(Problem):
    """Today's checks are used up: register the deal, or check again tomorrow."""

    status = 429
    slug = "too-many-checks"
    recorded = False


@event("registration.CustomerChecked.v1")
class CustomerChecked:
    """A partner asked whether a customer is free, or `asked_by` did for it. The customer itself is not kept."""

    check_id: str
    partner_id: PartnerId
    availability: str
    free_from: date | None
    checked_at: datetime
    asked_by: str | LeftOut = LEFT_OUT


@command("registration.CheckCustomer.v1")
class CheckCustomer:
    """`already` is the partner's own deal on the same, for which it is not eligible."""

    check_id: str
    partner_id: PartnerId
    availability: str
    free_from: date | None
    now: datetime
    for_vendor: ForVendor | LeftOut = LEFT_OUT
    already: RegistrationId | LeftOut = LEFT_OUT

    @property
    def day(self) -> str:
        """The stream of the checks of one UTC day: a partner's, or those of a person of the vendor."""
        who = f"by.{self.for_vendor.by}" if self.for_vendor else self.partner_id
        return f"{who}.{self.now.date().isoformat()}"


@dataclass(frozen=True)
class DayOfChecks:
    """How many checks a partner, or a person of the vendor, has made on one day."""

    count: int = 0

    @property
    def left(self) -> int:
        """How many it may still make."""
        return max(0, CHECKS_A_DAY - self.count)


def check_customer(wish: CheckCustomer, day: DayOfChecks) -> list[CustomerChecked]:
    """Records an answer, `CHECKS_A_DAY` times a day at most."""
    if day.count >= CHECKS_A_DAY:
        raise TooManyChecks(limit=CHECKS_A_DAY, retry_after_seconds=3_600)
    return [
        CustomerChecked(
            check_id=wish.check_id,
            partner_id=wish.partner_id,
            availability=wish.availability,
            free_from=wish.free_from,
            checked_at=wish.now,
            asked_by=wish.for_vendor.by if wish.for_vendor else LEFT_OUT,
        )
    ]


def evolve(day: DayOfChecks, _: CustomerChecked) -> DayOfChecks:
    return DayOfChecks(day.count + 1)


Checks = Decider[DayOfChecks, CustomerChecked](kind="checks", initial=DayOfChecks(), evolve=evolve)
