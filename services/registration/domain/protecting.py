"""How a protection goes on: extensions asked for, granted and refused, signs of life, and what is due without them."""

from datetime import datetime, timedelta

from chassis.decider import Refused, WrongState
from chassis.rulebook import Rulebook
from contracts.business_time import BUSINESS_DAY
from services.registration.domain.claims import ClaimEvent, Claims, extend, release
from services.registration.domain.deal import MOVES, Deal, Status, may, unmoved
from services.registration.domain.deal_commands import (
    EndProtection,
    GrantExtension,
    NoteActivity,
    OnDeal,
    RefuseExtension,
    RequestExtension,
    WarnInactivity,
)
from services.registration.domain.deal_events import (
    ActivityNoted,
    DealEvent,
    ExtensionAnswered,
    ExtensionRequested,
    InactivityWarned,
    ProtectionEnded,
    ProtectionExtended,
)
from services.registration.domain.ending import over_with, unprotected
from services.registration.domain.judging import rules_of
from services.registration.domain.machine import allowed_in
from services.registration.domain.protection import counted_from, extended_end
from services.registration.domain.review_clock import end
from services.registration.domain.rules import NO_EXTENSION, ONCE, DealRules

Changed = tuple[list[DealEvent], list[list[ClaimEvent]]]


class ExtensionPending(Refused):
    """An extension is asked for already: wait for the answer."""

    slug = "extension-pending"


class ExtensionUsed(Refused):
    """This protection cannot be extended any further."""

    slug = "extension-used"


class ExtensionTooEarly(Refused):
    """An extension is asked for in the last days of a protection: `ask_from` says from when."""

    slug = "extension-too-early"


class NothingAsked(Refused):
    """Nobody has asked for an extension of this protection."""

    slug = "nothing-asked"


# Extensions


def request_extension(wish: RequestExtension, deal: Deal, claims: tuple[Claims, ...], book: Rulebook) -> Changed:
    """Asks for more time, with evidence of work on the customer. Until it is answered, the hold runs on.

    The claim lasts for the whole of what is asked for, so that no rival is approved between the end and the answer. Once
    it is over, a rival may hold by now: it is not asked for any more, also where nobody has written its end down yet.
    """
    may(deal, RequestExtension)
    if deal.extension is None and deal.protection is not None and deal.protection.end <= wish.now:
        over = Status.EXPIRED
        raise WrongState("the protection is over", state=over.value, allowed=allowed_in(MOVES, over))
    return request_extension_until_the_end_is_told(wish, deal, claims, book)


def request_extension_until_the_end_is_told(
    wish: RequestExtension, deal: Deal, claims: tuple[Claims, ...], book: Rulebook
) -> Changed:
    """As the first evaluator decided: a hold that was over, and whose end nobody had written down, went on."""
    may(deal, RequestExtension)
    unmoved(wish, deal)
    if deal.extension is not None:
        raise ExtensionPending
    rules = rules_of(deal, book)
    old_end, new_end = _ends(deal, rules)
    asked_from = old_end - timedelta(days=rules.protection.ask_days)
    if wish.now < asked_from:
        raise ExtensionTooEarly(ask_from=asked_from.isoformat())
    requested = ExtensionRequested(
        **deal.header,
        evidence=wish.evidence,
        old_end=old_end,
        new_end=new_end,
        answer_by=rules.calendar.after(old_end, rules.protection.grace_days * BUSINESS_DAY),
        requested_by=wish.by,
        requested_at=wish.now,
    )
    return [requested, *alive(deal, "extension", None, wish.now)], _until(wish, claims, new_end)


def _ends(deal: Deal, rules: DealRules) -> tuple[datetime, datetime]:
    """The end as it is and as it would be. Raises ExtensionUsed where the rules allow no more."""
    protection = rules.protection
    used_up = protection.extension == NO_EXTENSION or (protection.extension == ONCE and deal.extensions > 0)
    span = deal.protection
    if used_up or span is None:
        raise ExtensionUsed
    began = counted_from(rules, submitted_at=deal.submitted_at, approved_at=span.start)
    new_end = extended_end(rules, span, began)
    if new_end <= span.end:
        raise ExtensionUsed
    return span.end, new_end


def grant_extension(wish: GrantExtension, deal: Deal, book: Rulebook) -> list[DealEvent]:
    """Lets the hold last as long as was asked for. The service grants what nobody answered in time."""
    may(deal, GrantExtension)
    asked = deal.extension
    if asked is None:
        raise NothingAsked
    if wish.by is None and wish.now < asked.answer_by:
        return []
    extended = ProtectionExtended(**deal.header, old_end=asked.old_end, new_end=asked.new_end, extended_at=wish.now)
    return [_answered(wish, deal, wish.by, granted=True), extended]


def refuse_extension(wish: RefuseExtension, deal: Deal, claims: tuple[Claims, ...], book: Rulebook) -> Changed:
    """Leaves the hold its old end; where that has passed, it ends now."""
    may(deal, RefuseExtension)
    unmoved(wish, deal)
    asked = deal.extension
    if asked is None:
        raise NothingAsked
    refused = _answered(wish, deal, wish.by, granted=False, reason_code=wish.reason_code)
    if wish.now < asked.old_end:
        return [refused], _until(wish, claims, asked.old_end)
    over = end(deal, rules_of(deal, book), "withdrawn", wish.now)
    return [refused, *over, *unprotected(wish.now, deal, "expired")], _released(wish, claims, "expired")


def _answered(
    wish: OnDeal, deal: Deal, by: str | None, *, granted: bool, reason_code: str | None = None
) -> ExtensionAnswered:
    return ExtensionAnswered(
        **deal.header, granted=granted, reason_code=reason_code, answered_by=by, answered_at=wish.now
    )


def _until(wish: OnDeal, claims: tuple[Claims, ...], ends_at: datetime) -> list[list[ClaimEvent]]:
    return [extend(state, wish.registration_id, ends_at, wish.now) for state in claims]


# Signs of life


def note_activity(wish: NoteActivity, deal: Deal) -> list[DealEvent]:
    """A sign that the partner works on the customer; without a protection nobody asks for one."""
    if deal.status != Status.APPROVED:
        return []
    noted = ActivityNoted(
        **deal.header, kind=wish.kind, warned=deal.warned, source_event_id=wish.source_event_id, noted_at=wish.now
    )
    return [noted]


def alive(deal: Deal, kind: str, source_event_id: str | None, now: datetime) -> list[DealEvent]:
    """The sign of life that another change of the deal is, where the partner was warned."""
    if not deal.warned:
        return []
    return [ActivityNoted(**deal.header, kind=kind, warned=True, source_event_id=source_event_id, noted_at=now)]


def warn_inactivity(wish: WarnInactivity, deal: Deal, book: Rulebook) -> list[DealEvent]:
    """Tells the partner once that its protection will end for want of activity."""
    ends_at = _idle_end(deal, rules_of(deal, book)) if deal.status in MOVES[EndProtection].begins else None
    if ends_at is None or deal.warned:
        return []
    warn_at = ends_at - timedelta(days=rules_of(deal, book).protection.warn_days)
    if wish.now < warn_at:
        return []
    return [InactivityWarned(**deal.header, ends_at=ends_at, warned_at=wish.now)]


def _idle_end(deal: Deal, rules: DealRules) -> datetime | None:
    """When the protection ends if nothing happens any more; None where the rules do not look."""
    days = rules.protection.inactive_days
    return deal.active_at + timedelta(days=days) if days and deal.active_at else None


# The end


def end_protection(wish: EndProtection, deal: Deal, claims: tuple[Claims, ...], book: Rulebook) -> Changed:
    """Ends a protection whose time is over, that nobody works on, or whose partner has left."""
    if deal.status not in MOVES[EndProtection].begins:
        return [], [[] for _ in claims]
    rules = rules_of(deal, book)
    reason_code = wish.reason_code or _over(deal, rules, wish.now)
    if reason_code is None:
        return [], [[] for _ in claims]
    unmoved(wish, deal)
    over = end(deal, rules, "withdrawn", wish.now)
    ended = ProtectionEnded(**deal.header, reason_code=reason_code, ended_at=wish.now)
    return [*over, ended, *over_with(wish.now, deal, reason_code)], _released(wish, claims, reason_code)


def _over(deal: Deal, rules: DealRules, now: datetime) -> str | None:
    """Why the protection is over by itself, if it is. An extension that is asked for is waited for."""
    if deal.protection is None or deal.extension is not None:
        return None
    if deal.protection.end <= now:
        return "expired"
    idle_end = _idle_end(deal, rules)
    return "inactive" if idle_end is not None and idle_end <= now else None


def _released(wish: OnDeal, claims: tuple[Claims, ...], reason_code: str) -> list[list[ClaimEvent]]:
    return [release(state, wish.registration_id, reason_code, wish.now) for state in claims]
