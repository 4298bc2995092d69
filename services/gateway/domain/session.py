"""A session: somebody is signed in, for a tenant, with roles, until it idles, expires or ends. Kept in tenant `shared`."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from chassis.decider import Decider
from chassis.event import command, event

ABSOLUTE_HOURS = 12

# Events


@event("gateway.SessionOpened.v1")
class SessionOpened:
    """`session_id` is the SHA-256 of what the browser holds. `subject` is a member of staff or a person."""

    session_id: str
    tenant: str
    subject: str
    kind: str
    partner_id: str | None
    roles: tuple[str, ...]
    duties: tuple[str, ...]
    opened_at: datetime
    expires_at: datetime


@event("gateway.SessionEnded.v1")
class SessionEnded:
    """Cause: signed_out, membership_ended, staff_ended, suspended or forgotten."""

    session_id: str
    cause: str
    ended_at: datetime


SessionEvent = SessionOpened | SessionEnded

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
    now: datetime


@command("gateway.EndSession.v1")
class EndSession:
    session_id: str
    cause: str
    now: datetime


# State


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who is signed in, while it lasts."""

    opened: SessionOpened | None = None
    ended: bool = False

    def good(self, now: datetime) -> bool:
        """Whether it still signs in."""
        return self.opened is not None and not self.ended and now < self.opened.expires_at


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
            expires_at=wish.now + timedelta(hours=ABSOLUTE_HOURS),
        )
    ]


def end_session(wish: EndSession, session: Session) -> list[SessionEvent]:
    if session.opened is None or session.ended:
        return []
    return [SessionEnded(session_id=wish.session_id, cause=wish.cause, ended_at=wish.now)]


# Evolve


def evolve(session: Session, happened: SessionEvent) -> Session:
    match happened:
        case SessionOpened():
            return Session(opened=happened)
        case SessionEnded():
            return replace(session, ended=True)
        case _:
            assert_never(happened)


Sessions = Decider[Session, SessionEvent](kind="session", initial=Session(), evolve=evolve)
