"""Whose words are unreadable from now on: a person whom deals name as a contact, or all that was said about one deal.

What was sealed stays in the log, and its key is destroyed. Of what is forgotten nothing but that it is stands here: each
time anew, as there is a key again where somebody was named, or something said, after it was destroyed.
"""

from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Decider, WrongState
from chassis.event import Sealed, command, event
from contracts.values import RegistrationId
from services.registration.domain.deal import OPEN, Deal, Status

CONTACT = "contact-"
"""What the subject begins with, whose key seals what deals say of a contact with an e-mail address."""


def subject_of(contact_id: str) -> str:
    """Whose key seals what a deal says of a contact: the person's own, the same in every deal."""
    return f"{CONTACT}{contact_id}"


def contact_of(sealed: Sealed) -> str | None:
    """The person that a sealed contact is about; None where it has no e-mail address, or is older than this."""
    return sealed.subject.removeprefix(CONTACT) if sealed.subject.startswith(CONTACT) else None


# Events


@event("registration.ContactForgotten.v1")
class ContactForgotten:
    """`contact_id` is the keyed hash of an e-mail address: the same person in every deal and lead."""

    contact_id: str
    forgotten_by: str
    forgotten_at: datetime


@event("registration.DealForgotten.v1")
class DealForgotten:
    """The personal text of a deal that is over, or all of a draft: description, notes, disputes, a natural person's name.

    Of its contacts those without an e-mail address; the others have keys of their own.
    """

    registration_id: RegistrationId
    forgotten_by: str
    forgotten_at: datetime


ForgettingEvent = ContactForgotten | DealForgotten


# Commands


@command("registration.ForgetContact.v1")
class ForgetContact:
    contact_id: str
    by: str
    now: datetime


@command("registration.ForgetDeal.v1")
class ForgetDeal:
    registration_id: RegistrationId
    by: str
    now: datetime


# State


@dataclass(frozen=True)
class Forgotten:
    """Whether it was forgotten before."""

    before: bool = False


# Decisions


def forget_contact(wish: ForgetContact, _: Forgotten) -> list[ForgettingEvent]:
    """Writes down that the person is forgotten."""
    return [ContactForgotten(contact_id=wish.contact_id, forgotten_by=wish.by, forgotten_at=wish.now)]


def forget_contact_once(wish: ForgetContact, forgotten: Forgotten) -> list[ForgettingEvent]:
    """Evaluator 1: who was named anew after it was forgotten was not written down again."""
    return [] if forgotten.before else forget_contact(wish, forgotten)


def forget_deal(wish: ForgetDeal, _: Forgotten, deal: Deal) -> list[ForgettingEvent]:
    """Writes down that the words of a deal or a draft are forgotten; while a deal is open or protected they are needed."""
    return _written_down(wish, deal, (*(status for status in OPEN if status is not Status.DRAFT), Status.APPROVED))


def forget_deal_but_no_draft(wish: ForgetDeal, _: Forgotten, deal: Deal) -> list[ForgettingEvent]:
    """Evaluator 2: of a draft nothing could be forgotten."""
    return _written_down(wish, deal, (*OPEN, Status.APPROVED))


def forget_deal_once(wish: ForgetDeal, forgotten: Forgotten, deal: Deal) -> list[ForgettingEvent]:
    """Evaluator 1: what was said after the deal was forgotten was not written down again."""
    told = forget_deal_but_no_draft(wish, forgotten, deal)
    return [] if forgotten.before else told


def _written_down(wish: ForgetDeal, deal: Deal, needed: tuple[Status, ...]) -> list[ForgettingEvent]:
    if deal.status in needed:
        over = [status.value for status in Status if status not in (*needed, Status.NONE)]
        raise WrongState("the deal is not over: only its contacts can be forgotten", state=deal.status, allowed=over)
    return [DealForgotten(registration_id=wish.registration_id, forgotten_by=wish.by, forgotten_at=wish.now)]


# Evolve


def evolve(_: Forgotten, happened: ForgettingEvent) -> Forgotten:
    match happened:
        case ContactForgotten() | DealForgotten():
            return Forgotten(before=True)


ForgottenOf = Decider[Forgotten, ForgettingEvent](kind="forgotten", initial=Forgotten(), evolve=evolve)
