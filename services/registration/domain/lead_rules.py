"""The vendor's rules for leads: whom they are offered to, how long each answer may take, and what looks like spam."""

from collections.abc import Iterator
from dataclasses import field
from decimal import Decimal

from chassis.event import frozen
from contracts.business_time import BusinessCalendar
from services.registration.domain.rules import OpenHours, is_zone
from services.registration.domain.shared_domains import FREE_MAIL

STRATEGIES = (
    *(LEAST_RECENT := "least_recent", WEIGHTED := "weighted", NEAREST := "nearest"),
    *(ORDERED := "ordered", BROADCAST := "broadcast"),
)
ROUNDS_MAX, POOL_DAYS_MAX, PARTNERS_MAX, WEIGHT_MAX = 20, 365, 1_000, 1_000
BROADCAST_TO = range(2, 21)
ANSWER_DAYS_MAX, UPDATE_DAYS_MAX = 30, 90
WRITTEN_ANEW = {"any_spelling": True}
"""What rules for leads that are written now say where their author says nothing."""
LATITUDE_MAX, LONGITUDE_MAX = 90, 180


@frozen
class Routed:
    """A partner that takes leads: its weight, its place, and which leads it takes. None named: all of them."""

    partner_id: str
    weight: int = 1
    daily_cap: int | None = None
    latitude: Decimal | None = None
    longitude: Decimal | None = None
    countries: tuple[str, ...] = ()
    families: tuple[str, ...] = ()


@frozen
class Gate:
    """What keeps a lead back for a person to look at, and which one counts as a repeat of another."""

    free_mail: tuple[str, ...] = FREE_MAIL
    least_seconds: int = 2
    same_text_max: int = 5
    same_text_hours: int = 24
    duplicate_days: int = 90


@frozen
class LeadRules:
    """The body of the rulebook kind `lead_rules`. No partners listed: every active one takes leads, with weight 1.

    Business days are those of `zone` and `hours`. A lead that nobody took in `rounds` rounds is pooled for `pool_days`.
    `any_spelling`: a family is the same however it is written; rules of older releases compare letter by letter.
    """

    zone: str = "UTC"
    hours: OpenHours = field(default_factory=OpenHours)
    strategy: str = LEAST_RECENT
    partners: tuple[Routed, ...] = ()
    same_country: bool = False
    incumbent_first: bool = False
    daily_cap: int | None = None
    broadcast_to: int = 3
    rounds: int = 5
    accept_days: int = 1
    contact_days: int = 5
    update_days: int = 14
    pool_days: int = 30
    gate: Gate = field(default_factory=Gate)
    any_spelling: bool = False

    @property
    def calendar(self) -> BusinessCalendar:
        """The desk's hours in the vendor's zone."""
        return self.hours.calendar(self.zone)

    def entry(self, partner_id: str) -> Routed:
        """What the rules say of one partner; an unlisted one has no limits of its own."""
        return next((one for one in self.partners if one.partner_id == partner_id), Routed(partner_id=partner_id))


def faults(rules: LeadRules) -> list[str]:
    """What a schema cannot say of these rules."""
    return [said for holds, said in (*_limits(rules), *_partners(rules), *_gate(rules.gate)) if not holds]


def _limits(rules: LeadRules) -> Iterator[tuple[bool, str]]:
    yield is_zone(rules.zone), "zone is an IANA time zone, e.g. Europe/Berlin"
    yield rules.strategy in STRATEGIES, f"a strategy is one of {', '.join(STRATEGIES)}"
    yield rules.broadcast_to in BROADCAST_TO, "a broadcast goes to 2 to 20 partners"
    yield 1 <= rules.rounds <= ROUNDS_MAX, f"1 to {ROUNDS_MAX} rounds"
    yield 1 <= rules.accept_days <= ANSWER_DAYS_MAX, f"accept_days lies between 1 and {ANSWER_DAYS_MAX}"
    yield 1 <= rules.contact_days <= ANSWER_DAYS_MAX, f"contact_days lies between 1 and {ANSWER_DAYS_MAX}"
    yield 1 <= rules.update_days <= UPDATE_DAYS_MAX, f"update_days lies between 1 and {UPDATE_DAYS_MAX}"
    yield 1 <= rules.pool_days <= POOL_DAYS_MAX, f"pool_days lies between 1 and {POOL_DAYS_MAX}"
    yield _counts(rules.daily_cap), "a daily cap is at least 1"
    yield from rules.hours.limits()


def _partners(rules: LeadRules) -> Iterator[tuple[bool, str]]:
    ids = [one.partner_id for one in rules.partners]
    yield len(ids) <= PARTNERS_MAX, f"at most {PARTNERS_MAX} partners are listed"
    yield len(set(ids)) == len(ids), "a partner is listed once"
    yield not ids or any(one.weight for one in rules.partners), "somebody has a weight"
    for one in rules.partners:
        yield 0 <= one.weight <= WEIGHT_MAX, f"a weight lies between 0 and {WEIGHT_MAX}"
        yield _counts(one.daily_cap), "a daily cap is at least 1"
        yield (one.latitude is None) == (one.longitude is None), "a place has a latitude and a longitude"
        yield abs(one.latitude or Decimal(0)) <= LATITUDE_MAX, "a latitude lies between -90 and 90"
        yield abs(one.longitude or Decimal(0)) <= LONGITUDE_MAX, "a longitude lies between -180 and 180"


def _counts(cap: int | None) -> bool:
    return cap is None or cap >= 1


def _gate(gate: Gate) -> Iterator[tuple[bool, str]]:
    yield 0 <= gate.least_seconds <= 60, "least_seconds lies between 0 and 60"  # noqa: PLR2004  a minute is the most
    yield 2 <= gate.same_text_max <= 20, "the same text counts from 2 to 20 times"  # noqa: PLR2004  as it says
    yield 1 <= gate.same_text_hours <= 168, "the same text counts within 1 to 168 hours"  # noqa: PLR2004  a week
    yield 0 <= gate.duplicate_days <= 365, "duplicate_days lies between 0 and 365"  # noqa: PLR2004  a year
