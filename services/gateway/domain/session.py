"""A session: somebody is signed in, for a tenant, with roles, until it idles, expires or ends. Kept in tenant `shared`."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from chassis.decider import Decider
from chassis.event import command, event, frozen

USES_AN_IDLE_TIME = 4
"""How often a use is recorded within the time after which a session idles."""

# Events


@event("gateway.SessionOpened.v1")
class SessionOpened:
    """`session_id` is the SHA-256 of what the browser holds. `subject` is a member of staff or a person.

    It ends unused after `idle_minutes`, where they are said.
    """

    session_id: str
    tenant: str
    subject: str
    kind: str
    partner_id: str | None
    roles: tuple[str, ...]
    duties: tuple[str, ...]
    opened_at: datetime
    expires_at: datetime
    idle_minutes: int | None = None


@event("gateway.SessionUsed.v1")
class SessionUsed:
    """Not each use: the first one after a quarter of the idle time."""

    session_id: str
    used_at: datetime


@event("gateway.SessionEnded.v1")
class SessionEnded:
    """Cause: signed_out, membership_ended, staff_ended, suspended, released or forgotten."""

    session_id: str
    cause: str
    ended_at: datetime


SessionEvent = SessionOpened | SessionUsed | SessionEnded

# Commands


@command("gateway.OpenSession.v1")
class OpenSession:
    session_id: str
    tenant: str
    subject: str
    kind: str
    partner_id: str | None = None
    roles: tuple[str, ...]
    duties: tuple[str, ...] = ()
    absolute_hours: int = 12
    idle_minutes: int | None = None
    now: datetime


@command("gateway.UseSession.v1")
class UseSession:
    session_id: str
    now: datetime


@command("gateway.EndSession.v1")
class EndSession:
    session_id: str
    cause: str
    now: datetime


# State


@frozen
class Session:
    """Who is signed in, while it lasts."""

    opened: SessionOpened | None = None
    used_at: datetime | None = None
    ended: bool = False

    def good(self, now: datetime) -> bool:
        """Whether it still signs in."""
        return self.opened is not None and not self.ended and now < self.opened.expires_at and not self._idles(now, 1)

    def use_is_news(self, now: datetime) -> bool:
        """Whether a use at this time is to be recorded."""
        return self.good(now) and self._idles(now, USES_AN_IDLE_TIME)

    def _idles(self, now: datetime, part: int) -> bool:
        """Whether no use was recorded for this part of the idle time."""
        if self.opened is None or self.used_at is None or self.opened.idle_minutes is None:
            return False
        return now >= self.used_at + timedelta(minutes=self.opened.idle_minutes) / part


# Decisions


def open_session(wish: OpenSession, session: Session) -> list[SessionEvent]:
    if session.opened:
        return []
    return [
        SessionOpened(
            session_id=wish.session_id,
            tenant=wish.tenant,
            subject=wish.subject,
            kind=wish.kind,
            partner_id=wish.partner_id,
            roles=wish.roles,
            duties=wish.duties,
            opened_at=wish.now,
            expires_at=wish.now + timedelta(hours=wish.absolute_hours),
            idle_minutes=wish.idle_minutes,
        )
    ]


def use_session(wish: UseSession, session: Session) -> list[SessionEvent]:
    return [SessionUsed(session_id=wish.session_id, used_at=wish.now)] if session.use_is_news(wish.now) else []


def end_session(wish: EndSession, session: Session) -> list[SessionEvent]:
    if session.opened is None or session.ended:
        return []
    return [SessionEnded(session_id=wish.session_id, cause=wish.cause, ended_at=wish.now)]


# Evolve


def evolve(session: Session, happened: SessionEvent) -> Session:
    match happened:
        case SessionOpened():
            return Session(opened=happened, used_at=happened.opened_at)
        case SessionUsed():
            return replace(session, used_at=happened.used_at)
        case SessionEnded():
            return replace(session, ended=True)
        case _:
            assert_never(happened)


Sessions = Decider[Session, SessionEvent](kind="session", initial=Session(), evolve=evolve)
