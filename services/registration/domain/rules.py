"""A programme's deal rules: what may be registered, what is compared, who comes first, how long a hold lasts."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import field, fields
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

from chassis.event import frozen
from contracts.business_time import HOLIDAYS_MAX, BusinessCalendar
from contracts.values import Money
from services.registration.domain.overlap import families_of
from services.registration.domain.shared_domains import SHARED_DOMAINS

STARTS = APPROVAL, SUBMISSION = "approval", "submission"
PRIORITIES = (
    *(FIRST_TO_REGISTER := "first_to_register", FIRST_TO_APPROVE := "first_to_approve"),
    *(INCUMBENT_ON_RENEWAL := "incumbent_on_renewal", CUSTOMER_CHOICE := "customer_choice"),
    *(MOST_EVIDENCE := "most_evidence", SHARED := "shared", SECOND_REDUCED := "second_reduced"),
)
OPEN_TO_ALL = (FIRST_TO_APPROVE, SHARED, SECOND_REDUCED)
"""Under these nobody is ahead of anybody; under the last two both may hold."""
EXTENSIONS = NO_EXTENSION, ONCE, UNLIMITED = "none", "once", "unlimited"
STACKING = HIGHEST, SUM = "highest", "sum"
ROLES = ("referral", "resell", "distribute", "service", "influence")
OPTIONAL_BEFORE = (
    *("contacts", "description", "partner_reference", "evidence"),
    *("postcode", "street", "region", "identifiers"),
)
CLOSE_ON = "close_on"
OPTIONAL_FIELDS = (
    *OPTIONAL_BEFORE,
    *("trade_names", "tender_on", CLOSE_ON, "price_reference", "fund_reference", "crm_reference"),
)
"""What rules may require of a registration."""
DAYS_MAX = 365
MONTHS_MAX = 36
WHOLE_PERCENT = 100
LETTER_DAYS, LETTER_DAYS_LEAST = 90, 30
LATE = ESCALATE, APPROVE_CLEAN = "escalate", "approve"
TOTAL_DAYS_MAX, ASK_DAYS_MAX, GRACE_DAYS_MAX = 730, 90, 5
STEPS_MAX, APPROVALS_MAX, LIMIT_DAYS_MAX, ANSWER_DAYS_MAX, PERCENT_MAX = 10, 10, 30, 60, 1_000
APPEAL_DAYS_MAX = 10
APPROVERS = ("admin", "channel_manager", "deal_desk", "finance")
"""Whom the rules of a programme may name; which of them approves a deal, its own chain of steps says."""
APPROVER_DUTIES = (
    *("legal", "trainer", "signatory", "plan_admin", "approver", "fund_manager", "credit_controller", "override"),
    *("arbiter", "auditor"),
)
"""What one of them may have to be besides, for a step to be theirs."""
_TERRITORY = re.compile("[A-Z]{2}(-[A-Z0-9]{1,3})?")
QUEUE_MAX = 10
WATCHES = LOOK, DOCUMENT, ASKED = "look", "document", "asked"
"""What a person may be asked to look at besides: a look-alike domain, another partner's document, a changed question."""
WRITTEN_ANEW = {"watch_for": list(WATCHES), "any_spelling": True}
"""What deal rules that are written now say where their author says nothing."""
CLOSED_LEAST = 10
AGREEMENTS = ("nda", "partner", "distribution", "referral", "data_processing", "funds", "terms")
PERCENTS = {"probable_percent": (85, 100), "possible_percent": (70, 100)}


@frozen
class Protection:
    """How long a hold lasts, 0 to 365 days, counted from the approval or from the submission.

    An extension may be asked for in the last `ask_days`; unanswered for `grace_days` business days after the end, it is
    granted. After `inactive_days` without a sign of life (0: never) the hold ends, `warn_days` after a warning.
    """

    days: int = 90
    starts: str = APPROVAL
    extension: str = ONCE
    extension_days: int = 90
    total_days_max: int = 180
    ask_days: int = 30
    grace_days: int = 5
    inactive_days: int = 45
    warn_days: int = 7


@frozen
class BenefitRule:
    """A benefit of so many percent for deals of these roles, families and types; none named: of all."""

    name: str
    percent: Decimal
    roles: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    deal_types: tuple[str, ...] = ()


@frozen
class Matching:
    """From which score on two names are worth a look, in percent: with an equal address, and by themselves.

    A domain of `shared_domains` decides no identity. Rules that name some name all of them.
    """

    probable_percent: int = 92
    possible_percent: int = 85
    shared_domains: tuple[str, ...] = SHARED_DOMAINS


@frozen
class AutoApproval:
    """Approves what is clean without a person, up to the limit of the deal's currency; without a limit, never.

    With `win_percent`, only for partners that won so much of what was closed in the last 365 days, `closed_least` deals
    or more.
    """

    on: bool = False
    limits: tuple[Money, ...] = ()
    win_percent: int | None = None
    closed_least: int = CLOSED_LEAST


@frozen
class TierCapacity:
    """How many deals of one partner of that tier may be open at once."""

    tier: str
    capacity: int


@frozen
class CertificationNeed:
    """So many of a partner's people hold that certification, for deals of these families; none named: for all."""

    certification: str
    count: int = 1
    families: tuple[str, ...] = ()


@frozen
class Step:
    """One approval that a deal needs when its amount is above the limit of its currency; without a limit, always.

    Steps of one order are open together. `approvals` people of the role (or duty) are needed, or all of those named.
    """

    order: int = 1
    role: str = "deal_desk"
    approvals: int = 1
    all_of: tuple[str, ...] = ()
    above: tuple[Money, ...] = ()

    def needed(self, amount: Money) -> bool:
        """Whether a deal of that amount needs it. A currency without a limit is above every limit."""
        limit = in_currency(self.above, amount.currency)
        return limit is None or limit < amount


@frozen
class Clock:
    """How long a review may take, in business days: the aim and the limit, and how long a partner may take to answer.

    A late review is escalated to a role, or approved where nothing but a person's decision is missing.
    """

    target_days: int = 1
    limit_days: int = 3
    when_late: str = ESCALATE
    escalate_to: str = "admin"
    answer_days: int = 15
    appeal_days: int = 10


@frozen
class OpenHours:
    """When the desk is there, in the programme's zone. Weekdays are ISO's: 1 is Monday.

    `holidays` are the public holidays of a country (`DE`) or a part of it (`DE-BE`), `holiday_dates` their dates.
    """

    opens_at: time = time(9)
    closes_at: time = time(17)
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5)
    closed_on: tuple[date, ...] = ()
    holidays: tuple[str, ...] = ()
    holiday_dates: tuple[date, ...] = ()

    def calendar(self, zone: str) -> BusinessCalendar:
        """These hours in a zone."""
        return BusinessCalendar(
            zone=zone,
            opens_at=self.opens_at,
            closes_at=self.closes_at,
            weekdays=self.weekdays,
            closed_on=(*self.closed_on, *self.holiday_dates),
        )

    def limits(self) -> Iterator[tuple[bool, str]]:
        """What a schema cannot say of them: whether it holds, and how it is said."""
        yield self.opens_at < self.closes_at, "the desk opens before it closes"
        yield bool(self.weekdays) and set(self.weekdays) <= set(range(1, 8)), "weekdays are some of 1 to 7"
        yield len(self.holidays) <= HOLIDAYS_MAX, f"holidays are those of {HOLIDAYS_MAX} places at most"
        yield bool(self.holiday_dates) == bool(self.holidays), "holidays are written out as dates"


@frozen
class Disclosure:
    """What the losing side of a conflict is told besides that it lost; each can be switched off, and nothing added.

    The reasons, its place in line, the day to come back, the day the rival asked, until when it may contest the decision.
    """

    reasons: bool = True
    place: bool = True
    free_from: bool = True
    rival_since: bool = True
    appeal_until: bool = True

    @property
    def withheld(self) -> tuple[str, ...]:
        """What is switched off, by name."""
        return tuple(one.name for one in fields(self) if not getattr(self, one.name))


@frozen
class DealRules:
    """The body of the rulebook kind `deal_rules`. No families: every product. A currency without a minimum has none.

    No territories (`DE`, `US-CA`): every country. `capacity` is how many deals of one partner may be open at once; a
    partner's tier may have another one. `watch_for` is what registrations leave a trace of, so that a person may look.
    `any_spelling`: a family is the same however it is written. Rules of older releases name neither, and are without.
    `agreements` are the kinds that a partner must have in force, with `authorisation` it registers only what it is
    authorised for, and with `exclusive_territories` a person looks at what another partner alone is authorised for.
    """

    zone: str = "UTC"
    roles: tuple[str, ...] = ROLES
    families: tuple[str, ...] = ()
    minimums: tuple[Money, ...] = ()
    required: tuple[str, ...] = ()
    tenders_allowed: bool = False
    priority: str | tuple[str, ...] = FIRST_TO_REGISTER
    letter_days: int = LETTER_DAYS
    second_factor_percent: int = 50
    benefits: tuple[BenefitRule, ...] = ()
    stacking: str = HIGHEST
    queue_max: int = QUEUE_MAX
    protection: Protection = field(default_factory=Protection)
    matching: Matching = field(default_factory=Matching)
    auto_approval: AutoApproval = field(default_factory=AutoApproval)
    territories: tuple[str, ...] = ()
    vendor_active_months: int = 0
    competitors: tuple[str, ...] = ()
    capacity: int | None = None
    tier_capacities: tuple[TierCapacity, ...] = ()
    watch_for: tuple[str, ...] = ()
    any_spelling: bool = False
    certifications: tuple[CertificationNeed, ...] = ()
    agreements: tuple[str, ...] = ()
    authorisation: bool = False
    exclusive_territories: bool = False
    approval: tuple[Step, ...] = (Step(),)
    amended_up_percent: int = 25
    clock: Clock = field(default_factory=Clock)
    hours: OpenHours = field(default_factory=OpenHours)
    disclosure: Disclosure = field(default_factory=Disclosure)

    @property
    def priorities(self) -> tuple[str, ...]:
        """The priority policies in their order."""
        return (self.priority,) if isinstance(self.priority, str) else self.priority

    def capacity_of(self, tiers: Iterable[str]) -> int | None:
        """How many deals of a partner in these tiers may be open at once: the most that one of them allows."""
        own = set(tiers)
        return max((one.capacity for one in self.tier_capacities if one.tier in own), default=self.capacity)

    def as_compared(self, families: Iterable[str]) -> frozenset[str]:
        """Product families as these rules compare them."""
        return families_of(families, any_spelling=self.any_spelling)

    def meant(self, named: Iterable[str], families: Iterable[str]) -> bool:
        """Whether something for the named families is for one of these; none named: for all."""
        wanted = self.as_compared(named)
        return not wanted or not wanted.isdisjoint(self.as_compared(families))

    @property
    def counts_open(self) -> bool:
        """Whether it matters how many deals of a partner are open."""
        return self.capacity is not None or bool(self.tier_capacities)

    @property
    def exclusive(self) -> bool:
        """Whether a hold keeps rivals out."""
        return not {SHARED, SECOND_REDUCED} & set(self.priorities)

    @cached_property
    def calendar(self) -> BusinessCalendar:
        """The desk's hours in the programme's zone."""
        return self.hours.calendar(self.zone)


def faults(rules: DealRules) -> list[str]:
    """What a schema cannot say of these rules."""
    return [text for fits, text in _limits(rules, OPTIONAL_FIELDS) if not fits]


def faults_before(rules: DealRules) -> list[str]:
    """As `faults` while rules could require only some of the fields."""
    return [text for fits, text in _limits(rules, OPTIONAL_BEFORE) if not fits]


def _limits(rules: DealRules, optional: tuple[str, ...]) -> Iterator[tuple[bool, str]]:
    yield is_zone(rules.zone), "zone is an IANA time zone, e.g. Europe/Berlin"
    yield bool(rules.roles) and set(rules.roles) <= set(ROLES), f"roles are some of {', '.join(ROLES)}"
    yield set(rules.required) <= set(optional), f"required fields are some of {', '.join(optional)}"
    yield 0 <= rules.protection.days <= DAYS_MAX, f"protection lasts 0 to {DAYS_MAX} days"
    yield rules.protection.starts in STARTS, f"protection starts at one of {', '.join(STARTS)}"
    yield bool(rules.priorities) and set(rules.priorities) <= set(PRIORITIES), f"priorities: {', '.join(PRIORITIES)}"
    yield 0 <= rules.queue_max <= QUEUE_MAX, f"a queue holds at most {QUEUE_MAX}"
    for name, (least, most) in PERCENTS.items():
        yield least <= getattr(rules.matching, name) <= most, f"{name} lies between {least} and {most}"
    yield _one_a_currency(rules.minimums), "one minimum a currency"
    yield _one_a_currency(rules.auto_approval.limits), "one limit a currency"
    yield 0 <= rules.vendor_active_months <= MONTHS_MAX, f"vendor_active_months lies between 0 and {MONTHS_MAX}"
    yield rules.capacity is None or rules.capacity > 0, "a capacity is one deal at least"
    yield all(one.capacity > 0 for one in rules.tier_capacities), "a tier's capacity is one deal at least"
    tiers = [one.tier for one in rules.tier_capacities]
    yield len(set(tiers)) == len(tiers), "one capacity a tier"
    yield all(one.count > 0 for one in rules.certifications), "a certification is needed of one person at least"
    yield set(rules.agreements) <= set(AGREEMENTS), f"agreements are some of {', '.join(AGREEMENTS)}"
    yield set(rules.watch_for) <= set(WATCHES), f"watched for is any of {', '.join(WATCHES)}"
    yield 0 <= (rules.auto_approval.win_percent or 0) <= WHOLE_PERCENT, "win_percent lies between 0 and 100"
    yield rules.auto_approval.closed_least >= 1, "closed_least is one deal at least"
    yield from _protection_limits(rules)
    yield from _review_limits(rules)


def _protection_limits(rules: DealRules) -> Iterator[tuple[bool, str]]:
    protection = rules.protection
    yield protection.extension in EXTENSIONS, f"an extension is one of {', '.join(EXTENSIONS)}"
    yield 1 <= protection.extension_days <= DAYS_MAX, f"an extension lasts 1 to {DAYS_MAX} days"
    yield 1 <= protection.total_days_max <= TOTAL_DAYS_MAX, f"a hold lasts {TOTAL_DAYS_MAX} days at most"
    yield 1 <= protection.ask_days <= ASK_DAYS_MAX, f"an extension is asked for in the last {ASK_DAYS_MAX} days"
    yield 0 <= protection.grace_days <= GRACE_DAYS_MAX, f"a hold runs on for {GRACE_DAYS_MAX} business days at most"
    yield 0 <= protection.inactive_days <= DAYS_MAX, f"inactive_days lies between 0 and {DAYS_MAX}"
    yield protection.warn_days >= 0, "a warning comes before the end"
    yield LETTER_DAYS_LEAST <= rules.letter_days <= DAYS_MAX, f"a letter counts for 30 to {DAYS_MAX} days"
    yield 0 <= rules.second_factor_percent <= WHOLE_PERCENT, "the second's factor lies between 0 and 100 percent"
    yield rules.stacking in STACKING, f"benefits stack as one of {', '.join(STACKING)}"


def _review_limits(rules: DealRules) -> Iterator[tuple[bool, str]]:
    clock, hours = rules.clock, rules.hours
    yield len(rules.approval) <= STEPS_MAX, f"a chain has at most {STEPS_MAX} steps"
    for step in rules.approval:
        yield 1 <= step.approvals <= APPROVALS_MAX, f"a step needs 1 to {APPROVALS_MAX} approvals"
        yield _one_a_currency(step.above), "one limit a currency in a step"
    yield not all(step.above for step in rules.approval), "one step is needed whatever the amount"
    yield 0 <= rules.amended_up_percent <= PERCENT_MAX, f"amended_up_percent lies between 0 and {PERCENT_MAX}"
    yield 1 <= clock.target_days <= clock.limit_days <= LIMIT_DAYS_MAX, f"1 ≤ target ≤ limit ≤ {LIMIT_DAYS_MAX} days"
    yield clock.when_late in LATE, f"a late review is one of {', '.join(LATE)}"
    yield 1 <= clock.answer_days <= ANSWER_DAYS_MAX, f"a partner has 1 to {ANSWER_DAYS_MAX} days to answer"
    yield from hours.limits()


def faults_of_new(rules: DealRules) -> list[str]:
    """What could never work, or say nothing, in rules that are written now: older ones are followed as they stand."""
    return [text for fits, text in (*_nobody(rules), *_senseless(rules)) if not fits]


def _nobody(rules: DealRules) -> Iterator[tuple[bool, str]]:
    """Whom a deal would wait for in vain."""
    known = {*APPROVERS, *APPROVER_DUTIES}
    said = f"one of {', '.join((*APPROVERS, *APPROVER_DUTIES))}"
    for step in rules.approval:
        yield bool(step.all_of) or step.role in known, f"a step's role is {said}"
        yield len(set(step.all_of)) == len(step.all_of), "a step names each person once"
    yield rules.clock.escalate_to in known, f"a late review is escalated to {said}"


def _senseless(rules: DealRules) -> Iterator[tuple[bool, str]]:
    protection = rules.protection
    yield 1 <= rules.clock.appeal_days <= APPEAL_DAYS_MAX, f"a decision is contested for 1 to {APPEAL_DAYS_MAX} days"
    for benefit in rules.benefits:
        yield 0 <= benefit.percent <= WHOLE_PERCENT, "a benefit lies between 0 and 100 percent"
        yield set(benefit.roles) <= set(ROLES), f"a benefit's roles are some of {', '.join(ROLES)}"
    for place in rules.territories:
        yield bool(_TERRITORY.fullmatch(place)), f"{place}: a territory is a country or a part of it (DE, US-CA)"
    least = protection.inactive_days or DAYS_MAX + 1
    yield protection.warn_days < least, "a warning comes fewer days before the end than inactive_days"


def day_in(zone: str, instant: datetime) -> date:
    """The day of an instant in a zone."""
    return instant.astimezone(ZoneInfo(zone)).date()


def is_zone(name: str) -> bool:
    """Whether it is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _one_a_currency(amounts: tuple[Money, ...]) -> bool:
    return len({amount.currency for amount in amounts}) == len(amounts)


def in_currency(amounts: tuple[Money, ...], currency: str) -> Money | None:
    """The amount of that currency, if there is one."""
    return next((amount for amount in amounts if amount.currency == currency), None)
