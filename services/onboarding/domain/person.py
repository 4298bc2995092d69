"""A person that acts for partners: known by name and mail, which only its own key opens, until it is erased."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from chassis.decider import Decider, WrongState
from chassis.event import Sealed, command, event
from contracts.values import PersonId

# Events


@event("onboarding.PersonRegistered.v1")
class PersonRegistered:
    """`mail_key` is a keyed hash of the mail address: equal addresses can be told without reading them."""

    person_id: PersonId
    name: Sealed
    mail: Sealed
    mail_key: str
    locale: str
    zone: str
    registered_at: datetime


@event("onboarding.PersonErased.v1")
class PersonErased:
    person_id: PersonId
    erased_at: datetime


PersonEvent = PersonRegistered | PersonErased

# Commands


@command("onboarding.RegisterPerson.v1")
class RegisterPerson:
    person_id: PersonId
    name: Sealed
    mail: Sealed
    mail_key: str
    locale: str
    zone: str
    now: datetime


@command("onboarding.ErasePerson.v1")
class ErasePerson:
    """The route destroys the person's key once this is recorded."""

    person_id: PersonId
    now: datetime


# State


@dataclass(frozen=True)
class Person:
    """Status: none, known or erased."""

    status: str = "none"
    mail_key: str = ""


# Decisions


def register(wish: RegisterPerson, person: Person) -> list[PersonEvent]:
    if person.status == "known" and person.mail_key == wish.mail_key:
        return []
    if person.status != "none":
        raise WrongState(f"the person is {person.status}", state=person.status, allowed=["none"])
    return [
        PersonRegistered(
            person_id=wish.person_id,
            name=wish.name,
            mail=wish.mail,
            mail_key=wish.mail_key,
            locale=wish.locale,
            zone=wish.zone,
            registered_at=wish.now,
        )
    ]


def erase(wish: ErasePerson, person: Person) -> list[PersonEvent]:
    if person.status == "erased":
        return []
    if person.status != "known":
        raise WrongState(f"the person is {person.status}", state=person.status, allowed=["known"])
    return [PersonErased(person_id=wish.person_id, erased_at=wish.now)]


# Evolve


def evolve(person: Person, happened: PersonEvent) -> Person:
    match happened:
        case PersonRegistered():
            return Person("known", happened.mail_key)
        case PersonErased():
            return Person("erased")
        case _:
            assert_never(happened)


People = Decider[Person, PersonEvent](kind="person", initial=Person(), evolve=evolve)
