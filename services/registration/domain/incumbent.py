"""Who sold what to a customer before, as attribution told it: copied into the customer's line, in which it counts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from chassis.decider import Raced
from chassis.event import LEFT_OUT, LeftOut, command
from contracts.values import AccountId, PartnerId, ProductLine
from services.registration.domain.account import Account
from services.registration.domain.claim import NOBODY, Won
from services.registration.domain.claims import ClaimEvent, Claims, told_incumbent
from services.registration.domain.overlap import RENEWAL, Place, Reach, normal_product, overlap


@command("registration.RecordIncumbent.v1")
class RecordIncumbent:
    """`partner_id` is the incumbent of a family until the end of `until_on`; None: nobody is.

    `counts_as` is the partner that goes on for it. `through` are the accounts that this one was found by: the one that was
    told of, and those into which it was merged before this one.
    """

    account_id: AccountId
    product_family: str
    partner_id: PartnerId | None
    counts_as: PartnerId | LeftOut = LEFT_OUT
    until_on: date | LeftOut = LEFT_OUT
    source_event_id: str
    source_position: int
    now: datetime
    through: tuple[AccountId, ...] | LeftOut = LEFT_OUT


def record_incumbent(
    wish: RecordIncumbent, line: Claims, account: Account, merged: tuple[Claims, ...]
) -> list[ClaimEvent]:
    """Writes it into the line of a customer that is known here; older news, or the same again, change nothing.

    Raises Raced where the line has moved to another account, or one that led here does so no more.
    """
    if any(one.moved_to != to for one, to in zip(merged, _steps(wish), strict=True)):
        raise Raced
    if not account.opened or any(_newer(one, wish) for one in line.incumbents):
        return []
    if line.moved_to is not None:
        raise Raced
    won = Won(
        partner_id=wish.partner_id or NOBODY,
        reach=_renewing(wish.product_family, account.country),
        counts_as=wish.counts_as,
        until_on=wish.until_on,
        source_position=wish.source_position,
    )
    return told_incumbent(line, won, wish.source_event_id, wish.now)


def _steps(wish: RecordIncumbent) -> tuple[AccountId, ...]:
    """To which account each of those leads that this one was found by."""
    return (*wish.through[1:], wish.account_id) if wish.through else ()


def _newer(known: Won, wish: RecordIncumbent) -> bool:
    told = known.source_position or 0
    [line] = known.reach.products if told else (None,)
    return line is not None and told >= wish.source_position and line.family == normal_product(wish.product_family)


def sold_before(known: Sequence[Won], day: date) -> tuple[PartnerId, ...]:
    """Who has sold something to a customer, by all that was won and said; nobody where it was said since that nobody is."""
    others = ((one, known[place + 1 :]) for place, one in enumerate(known) if one.partner_id != NOBODY)
    return tuple(dict.fromkeys(one.whose for one, since in others if one.counts_on(day) and not _unsaid(one, since)))


def _unsaid(won: Won, since: Sequence[Won]) -> bool:
    """Whether for all of these products the vendor said later that there is no incumbent."""
    nobody = [one.reach for one in since if one.partner_id == NOBODY]
    each_line = (replace(won.reach, products=(line,)) for line in won.reach.products)
    return all(any(overlap(line, reach).product for reach in nobody) for line in each_line)


def _renewing(family: str, country: str) -> Reach:
    """A family in any role: who renews it is asked for its products alone."""
    products = (ProductLine(family=normal_product(family)),)
    return Reach(products=products, role="", deal_type=RENEWAL, place=Place(country=country), in_normal_form=True)
