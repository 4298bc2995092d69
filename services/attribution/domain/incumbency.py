"""Whom the vendor names as the incumbent: who sold a family of products to a customer before this log began.

What is won here, registration remembers itself; only a person knows what was before.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import assert_never

from chassis.decider import Decider, Invalid
from chassis.event import command, event, stable_id
from contracts.values import AccountId, PartnerId


@event("attribution.IncumbentChanged.v1")
class IncumbentChanged:
    """From `from_on` until the end of `until_on`, or until it is changed; without a partner there is no incumbent."""

    incumbency_id: str
    account_id: AccountId
    product_family: str
    partner_id: PartnerId | None
    from_on: date
    until_on: date | None
    reason: str
    set_by: str
    changed_at: datetime


@command("attribution.SetIncumbent.v1")
class SetIncumbent:
    """`today` is the day of the command, from which on it counts."""

    incumbency_id: str
    account_id: AccountId
    product_family: str
    partner_id: PartnerId | None
    until_on: date | None
    reason: str
    by: str
    today: date
    now: datetime


class IncumbentEnded(Invalid):
    """Name a day that is still to come, or none."""

    slug = "incumbent-ended"


@dataclass(frozen=True)
class Incumbency:
    """Who it is now; `said` is false until anybody has said it."""

    said: bool = False
    partner_id: PartnerId | None = None
    until_on: date | None = None


def incumbency_id(tenant: str, account_id: str, product_family: str) -> str:
    """One customer and one family are one thing to be said, which names neither in a stream."""
    return stable_id(tenant, "incumbency", account_id, product_family)


def set_incumbent(wish: SetIncumbent, known: Incumbency) -> list[IncumbentChanged]:
    """Says who the incumbent is from today on. The same again is nothing. Raises IncumbentEnded for a day that is over."""
    if wish.until_on is not None and wish.until_on < wish.today:
        raise IncumbentEnded
    if known == Incumbency(said=True, partner_id=wish.partner_id, until_on=wish.until_on):
        return []
    return [
        IncumbentChanged(
            incumbency_id=wish.incumbency_id,
            account_id=wish.account_id,
            product_family=wish.product_family,
            partner_id=wish.partner_id,
            from_on=wish.today,
            until_on=wish.until_on,
            reason=wish.reason,
            set_by=wish.by,
            changed_at=wish.now,
        )
    ]


def evolve(_: Incumbency, happened: IncumbentChanged) -> Incumbency:
    match happened:
        case IncumbentChanged(partner_id=partner_id, until_on=until_on):
            return Incumbency(said=True, partner_id=partner_id, until_on=until_on)
        case _:
            assert_never(happened)


Incumbencies = Decider[Incumbency, IncumbentChanged](kind="incumbency", initial=Incumbency(), evolve=evolve)
