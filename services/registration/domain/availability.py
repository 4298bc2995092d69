"""Whether a customer is free, as a partner may ask before it registers. Only keys can say that a customer is taken."""

from dataclasses import dataclass
from datetime import date, datetime

from chassis.decider import Decider, Problem
from chassis.event import command, event
from contracts.values import PartnerId
from services.registration.domain.matching import DECIDE_FIRST
from services.registration.domain.screening import REJECT, Screening

FREE, LIKELY_FREE, NEEDS_REVIEW, TAKEN, NOT_ELIGIBLE = "free", "likely_free", "needs_review", "taken", "not_eligible"
CHECKS_A_DAY = 30
ALWAYS_ASKED = ("review-required", "identity-unconfirmed")


def availability(screening: Screening, *, known: bool) -> str:
    """One word for a screening that nobody has submitted."""
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


class TooManyChecks(Problem):
    """Today's checks are used up: register the deal, or check again tomorrow."""

    status = 429
    slug = "too-many-checks"
    recorded = False


@event("registration.CustomerChecked.v1")
class CustomerChecked:
    """A partner asked whether a customer is free. The customer itself is not kept."""

    check_id: str
    partner_id: PartnerId
    availability: str
    free_from: date | None
    checked_at: datetime


@command("registration.CheckCustomer.v1")
class CheckCustomer:
    check_id: str
    partner_id: PartnerId
    availability: str
    free_from: date | None
    now: datetime

    @property
    def day(self) -> str:
        """The stream of a partner's checks of one UTC day."""
        return f"{self.partner_id}.{self.now.date().isoformat()}"


@dataclass(frozen=True)
class DayOfChecks:
    """How many checks a partner has made on one day."""

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
        )
    ]


def evolve(day: DayOfChecks, _: CustomerChecked) -> DayOfChecks:
    return DayOfChecks(day.count + 1)


Checks = Decider[DayOfChecks, CustomerChecked](kind="checks", initial=DayOfChecks(), evolve=evolve)
