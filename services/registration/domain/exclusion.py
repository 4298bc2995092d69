"""Customers, keys and product families that the vendor keeps for itself, and since when it has been in contact.

What was recorded after a partner asked does not count against that partner.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from chassis.decider import Decider, Invalid, NotFound
from chassis.event import command, event, frozen

TARGETS = ACCOUNT, KEY, FAMILY = "account", "key", "family"
KINDS = NAMED, HOUSE, VENDOR_DIRECT, CONTACT = "named", "house", "vendor_direct", "contact"
EXCLUDING = (NAMED, HOUSE, VENDOR_DIRECT)
EACH_MAX = 100


@frozen
class Exclusion:
    """One entry. `contacted_on` is when the vendor last spoke to the customer; a `contact` excludes nobody."""

    exclusion_id: str
    kind: str
    from_on: date
    until_on: date | None = None
    contacted_on: date | None = None
    recorded_at: datetime

    def excludes(self, day: date) -> bool:
        """Whether partners may not work on it on that day."""
        return self.kind in EXCLUDING and self.from_on <= day and (self.until_on is None or day <= self.until_on)


@event("registration.ExclusionAdded.v1")
class ExclusionAdded:
    """`target` names what is excluded: `account:<id>`, `domain:contoso.com`, `family:cloud`."""

    target: str
    exclusion: Exclusion
    source_event_id: str | None = None
    added_by: str


@event("registration.ExclusionEnded.v1")
class ExclusionEnded:
    target: str
    exclusion_id: str
    ended_by: str
    ended_at: datetime


@command("registration.AddExclusion.v1")
class AddExclusion:
    target: str
    exclusion_id: str
    kind: str
    from_on: date
    until_on: date | None = None
    contacted_on: date | None = None
    source_event_id: str | None = None
    by: str
    now: datetime


@command("registration.EndExclusion.v1")
class EndExclusion:
    target: str
    exclusion_id: str
    by: str
    now: datetime


class TooManyExclusions(Invalid):
    """This target has a hundred entries: end some of them first."""

    slug = "too-many-exclusions"


class EndsBeforeItBegins(Invalid):
    """An exclusion ends on the day it begins or later."""

    slug = "ends-before-it-begins"


@dataclass(frozen=True)
class ExclusionList:
    """The entries on one target that were not ended."""

    entries: tuple[Exclusion, ...] = ()

    def of(self, exclusion_id: str) -> Exclusion | None:
        return next((one for one in self.entries if one.exclusion_id == exclusion_id), None)


def family_targets(family: str) -> list[str]:
    """The family and every wider one that contains it: `cloud/storage` is in `cloud`."""
    parts = family.split("/")
    return [f"{FAMILY}:{'/'.join(parts[:length])}" for length in range(1, len(parts) + 1)]


# Decisions


def add_exclusion(wish: AddExclusion, known: ExclusionList) -> list[ExclusionAdded]:
    """Adds an entry, once."""
    if known.of(wish.exclusion_id):
        return []
    if wish.until_on is not None and wish.until_on < wish.from_on:
        raise EndsBeforeItBegins
    if len(known.entries) >= EACH_MAX:
        raise TooManyExclusions(limit=EACH_MAX)
    exclusion = Exclusion(
        exclusion_id=wish.exclusion_id,
        kind=wish.kind,
        from_on=wish.from_on,
        until_on=wish.until_on,
        contacted_on=wish.contacted_on,
        recorded_at=wish.now,
    )
    return [
        ExclusionAdded(target=wish.target, exclusion=exclusion, source_event_id=wish.source_event_id, added_by=wish.by)
    ]


def end_exclusion(wish: EndExclusion, known: ExclusionList) -> list[ExclusionEnded]:
    """Takes an entry away. Raises NotFound where there is none."""
    if known.of(wish.exclusion_id) is None:
        raise NotFound
    return [ExclusionEnded(target=wish.target, exclusion_id=wish.exclusion_id, ended_by=wish.by, ended_at=wish.now)]


# Evolve


def evolve(known: ExclusionList, happened: ExclusionAdded | ExclusionEnded) -> ExclusionList:
    match happened:
        case ExclusionAdded(exclusion=exclusion):
            return ExclusionList((*known.entries, exclusion))
        case ExclusionEnded(exclusion_id=gone):
            return ExclusionList(tuple(one for one in known.entries if one.exclusion_id != gone))


Exclusions = Decider[ExclusionList, ExclusionAdded | ExclusionEnded](
    kind="exclusion", initial=ExclusionList(), evolve=evolve
)


def entries(lists: Iterable[ExclusionList]) -> tuple[Exclusion, ...]:
    """All entries on several targets."""
    return tuple(one for known in lists for one in known.entries)
