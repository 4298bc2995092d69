"""Withheld tax of one jurisdiction in one currency: what was withheld of payees' payments goes on to whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from chassis.decider import Decider, Refused
from chassis.event import command, event, frozen
from contracts.values import Money, none_of
from services.incentives.domain.journal import Journal, move

PAYEES_MAX = 500


@event("incentives.TaxRemitted.v1")
class TaxRemitted:
    """What was withheld of one payee is paid to the jurisdiction, under the reference of its return."""

    tax_id: str
    payee_id: str
    partner_id: str
    jurisdiction: str
    amount: Money
    reference: str
    journal: Journal
    remitted_by: str
    remitted_on: date
    remitted_at: datetime


@frozen
class Withheld:
    """All that was ever withheld of one payee; `books` is what of it is not remitted, in the currency of the books."""

    payee_id: str
    partner_id: str
    amount: Money
    books: Money | None = None


@command("incentives.RemitTax.v1")
class RemitTax:
    """`withheld` is what the ledger says of each payee, at most `PAYEES_MAX` of them at once."""

    tax_id: str
    jurisdiction: str
    reference: str
    withheld: tuple[Withheld, ...]
    by: str
    now: datetime


@dataclass(frozen=True)
class Tax:
    """What was remitted so far, by payee."""

    remitted: Mapping[str, Money] = field(default_factory=dict)


class NothingWithheld(Refused):
    """Nothing is withheld for that jurisdiction in that currency that was not remitted."""

    slug = "nothing-withheld"


def tax_id(jurisdiction: str, currency: str) -> str:
    return f"{jurisdiction}-{currency}"


def remit_tax(wish: RemitTax, tax: Tax) -> list[TaxRemitted]:
    """Remits all that is withheld and was not remitted yet, payee by payee."""
    due = [(one, one.amount - tax.remitted.get(one.payee_id, none_of(one.amount.currency))) for one in wish.withheld]
    found = [_remitted(wish, one, amount) for one, amount in due if amount.amount > 0]
    if not found:
        raise NothingWithheld
    return found


def _remitted(wish: RemitTax, one: Withheld, amount: Money) -> TaxRemitted:
    return TaxRemitted(
        tax_id=wish.tax_id,
        payee_id=one.payee_id,
        partner_id=one.partner_id,
        jurisdiction=wish.jurisdiction,
        amount=amount,
        reference=wish.reference,
        journal=move(
            amount,
            debit=("withheld", wish.jurisdiction),
            credit="cash",
            payee_id=one.payee_id,
            cause=wish.tax_id,
            books=one.books,
        ),
        remitted_by=wish.by,
        remitted_on=wish.now.astimezone(UTC).date(),
        remitted_at=wish.now,
    )


def evolve(tax: Tax, happened: TaxRemitted) -> Tax:
    before = tax.remitted.get(happened.payee_id)
    total = happened.amount if before is None else before + happened.amount
    return replace(tax, remitted={**tax.remitted, happened.payee_id: total})


Taxes = Decider[Tax, TaxRemitted](kind="tax", initial=Tax(), evolve=evolve)
