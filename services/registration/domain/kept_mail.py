"""A mail that a deal came in by: kept as it came, read by a version of the parser, and what became of it."""

from dataclasses import replace
from datetime import datetime

from chassis.decider import Decider, NotFound, Refused
from chassis.event import LEFT_OUT, LeftOut, Sealed, command, event, frozen
from contracts.values import PartnerId, RegistrationId

REGISTERED, DRAFT, REFUSED = "registered", "draft", "refused"
PARTNER, VENDOR = "partner", "vendor"


@frozen
class OfMail:
    """What every event of a mail says. `registration_id` is the deal, or the draft, that comes of it."""

    mail_id: str
    partner_id: PartnerId
    registration_id: RegistrationId


# Events


@event("registration.MailKept.v1")
class MailKept(OfMail):
    """The whole mail, in its own key. `side` handed it in: partner, or vendor for the partner."""

    programme: str
    side: str
    raw: Sealed
    size_bytes: int
    kept_by: str
    kept_at: datetime


@event("registration.MailRead.v1")
class MailRead(OfMail):
    """What a version of the parser found in it, sealed; `missing` is what it could not say for sure, by name."""

    parser: int
    found: Sealed
    missing: tuple[str, ...]
    read_by: str
    read_at: datetime


@event("registration.MailSettled.v1")
class MailSettled(OfMail):
    """What became of it: registered, draft or refused; then `refusal` is why, `draft` says what is kept of it.

    `standing` is the deal of the same partner that has the customer already, where that is why.
    """

    outcome: str
    refusal: str | None = None
    missing: tuple[str, ...] = ()
    settled_at: datetime
    standing: RegistrationId | LeftOut = LEFT_OUT


@event("registration.MailForgotten.v1")
class MailForgotten(OfMail):
    """Its key is destroyed: nobody can read it any more. The deal that came of it has a key of its own."""

    forgotten_by: str
    forgotten_at: datetime


MailEvent = MailKept | MailRead | MailSettled | MailForgotten


# Commands


@frozen
class OnMail:
    mail_id: str
    now: datetime


@command("registration.KeepMail.v1")
class KeepMail(OnMail):
    partner_id: PartnerId
    registration_id: RegistrationId
    programme: str
    side: str
    raw: Sealed
    size_bytes: int
    parser: int
    found: Sealed
    missing: tuple[str, ...]
    by: str


@command("registration.ReadMailAgain.v1")
class ReadMailAgain(OnMail):
    parser: int
    found: Sealed
    missing: tuple[str, ...]
    by: str


@command("registration.SettleMail.v1")
class SettleMail(OnMail):
    outcome: str
    refusal: str | None = None
    missing: tuple[str, ...] = ()
    standing: RegistrationId | LeftOut = LEFT_OUT


@command("registration.ForgetMail.v1")
class ForgetMail(OnMail):
    by: str


# State


class MailIsForgotten(Refused):
    """Nobody can read this mail any more: hand it in again."""

    slug = "mail-forgotten"


@frozen
class Mail:
    """What decisions ask of a mail."""

    kept: MailKept | None = None
    parser: int = 0
    settled: MailSettled | None = None
    forgotten: bool = False

    @property
    def first(self) -> MailKept:
        """How it came. Raises NotFound for one that never did."""
        if self.kept is None:
            raise NotFound
        return self.kept

    @property
    def header(self) -> dict[str, str]:
        """The fields of `OfMail`."""
        first = self.first
        return {
            "mail_id": first.mail_id,
            "partner_id": first.partner_id,
            "registration_id": first.registration_id,
        }


# Decisions


def keep_mail(wish: KeepMail, mail: Mail) -> list[MailEvent]:
    """Keeps a mail with what was read of it."""
    if mail.kept is not None:
        return []
    of = {"mail_id": wish.mail_id, "partner_id": wish.partner_id, "registration_id": wish.registration_id}
    kept = MailKept(
        **of,  # type: ignore[arg-type]
        programme=wish.programme,
        side=wish.side,
        raw=wish.raw,
        size_bytes=wish.size_bytes,
        kept_by=wish.by,
        kept_at=wish.now,
    )
    return [kept, _read(wish, of)]


def _read(wish: KeepMail | ReadMailAgain, of: dict[str, str]) -> MailRead:
    told = {"parser": wish.parser, "found": wish.found, "missing": wish.missing}
    return MailRead(**of, **told, read_by=wish.by, read_at=wish.now)  # type: ignore[arg-type]


def read_mail_again(wish: ReadMailAgain, mail: Mail) -> list[MailEvent]:
    """Writes down what a newer parser finds; one that is no newer changes nothing."""
    header = mail.header
    if mail.forgotten:
        raise MailIsForgotten
    return [_read(wish, header)] if wish.parser > mail.parser else []


def settle_mail(wish: SettleMail, mail: Mail) -> list[MailEvent]:
    """Writes down what became of it, where that is news."""
    settled = MailSettled(
        **mail.header,  # type: ignore[arg-type]
        outcome=wish.outcome,
        refusal=wish.refusal,
        missing=wish.missing,
        settled_at=wish.now,
        standing=wish.standing,
    )
    before = mail.settled
    return [] if before and replace(before, settled_at=wish.now) == settled else [settled]


def forget_mail(wish: ForgetMail, mail: Mail) -> list[MailEvent]:
    """Writes down, once, that the mail is to be unreadable from now on."""
    if mail.forgotten:
        return []
    return [MailForgotten(**mail.header, forgotten_by=wish.by, forgotten_at=wish.now)]  # type: ignore[arg-type]


def evolve(mail: Mail, happened: MailEvent) -> Mail:
    match happened:
        case MailKept():
            return replace(mail, kept=happened)
        case MailRead(parser=parser):
            return replace(mail, parser=parser)
        case MailSettled():
            return replace(mail, settled=happened)
        case MailForgotten():
            return replace(mail, forgotten=True)


Mails = Decider[Mail, MailEvent](kind="mail", initial=Mail(), evolve=evolve)
