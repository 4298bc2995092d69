"""Who gets which part of a line's pay, and when: payees by weight, release parts by days, to the minor unit."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

from chassis.event import frozen
from contracts.values import Money, split
from services.incentives.domain.schedule import PERCENT, sane

PARTS_MAX = 12
HOLD_DAYS_MAX = 180
Party = Literal["partner", "seller", "distributor", "reseller"]


@frozen
class PayeePart:
    """What of the pay a party gets. A party that the deal does not have leaves its part to the partner."""

    party: Party
    percent: Decimal


@frozen
class ReleasePart:
    """What of a payee's pay becomes payable how many days after it was earned."""

    percent: Decimal
    after_days: int


@frozen
class Portion:
    """One line's amount: which payee's of which partner, which release part (from 0), held for how many days."""

    payee_id: str
    partner_id: str
    part: int
    after_days: int
    amount: Money


def portions(
    pay: Money, payees: Sequence[PayeePart], release: Sequence[ReleasePart], parties: Mapping[str, str]
) -> tuple[Portion, ...]:
    """The pay in lines that add up to it exactly, by largest remainder, ties in listed order."""
    return tuple(
        Portion(
            payee_id=payee_id,
            partner_id=_partner_of(payee_id, parties),
            part=part,
            after_days=rule.after_days,
            amount=amount,
        )
        for payee_id, share in _of_payees(pay, payees, parties).items()
        for part, (rule, amount) in enumerate(zip(release, split(share, [r.percent for r in release]), strict=True))
        if part == 0 or not amount.zero
    )


def _partner_of(payee_id: str, parties: Mapping[str, str]) -> str:
    """Whose part it is: a seller's is of the partner that it sells for, a distributor's of nobody else."""
    return parties["partner"] if payee_id == parties.get("seller") else payee_id


def _of_payees(pay: Money, payees: Sequence[PayeePart], parties: Mapping[str, str]) -> dict[str, Money]:
    whole = payees or (PayeePart(party="partner", percent=PERCENT),)
    shares: dict[str, Money] = {}
    for rule, amount in zip(whole, split(pay, [rule.percent for rule in whole]), strict=True):
        payee_id = parties.get(rule.party) or parties["partner"]
        shares[payee_id] = shares[payee_id] + amount if payee_id in shares else amount
    return shares


def sharing_faults(payees: Sequence[PayeePart], release: Sequence[ReleasePart]) -> list[str]:
    """What is wrong with the parts, in sentences; nothing for sound ones."""
    found = []
    if len({rule.party for rule in payees}) != len(payees):
        found.append("each party has one part")
    if any(not 0 <= rule.after_days <= HOLD_DAYS_MAX for rule in release):
        found.append(f"a part is released 0 to {HOLD_DAYS_MAX} days after it is earned")
    for parts in (payees, release):
        percents = [rule.percent for rule in parts]
        if len(parts) > PARTS_MAX or any(not sane(percent) or percent <= 0 for percent in percents):
            found.append(f"there are at most {PARTS_MAX} parts, each above 0 percent")
        elif parts and sum(percents) != PERCENT:
            found.append("parts add up to 100 percent")
    return found
