"""Two partners that become one: from a day on the absorbed one's money goes to the survivor, and back when it is undone.

Lines, windows and statements stay where they are. What is free of an account's payable balance is transferred, whenever
something becomes payable; undone, all that was ever transferred comes back.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction
from typing import Protocol, assert_never

from chassis.event import command, event, frozen
from contracts.values import Money, none_of, total
from services.incentives.domain.journal import FUND_MONEY, Journal, Side, move
from services.incentives.domain.rating import half_up

# Events, of the payee's stream


@event("incentives.PayeeMerged.v1")
class PayeeMerged:
    payee_id: str
    partner_id: str
    revision: int
    survivor_id: str
    effective_on: date
    recorded_at: datetime


@event("incentives.PayeeUnmerged.v1")
class PayeeUnmerged:
    """It was undone: the payee stands for itself again."""

    payee_id: str
    partner_id: str
    revision: int
    survivor_id: str
    recorded_at: datetime


MergeEvent = PayeeMerged | PayeeUnmerged

# Events, of both accounts in one commit


@event("incentives.BalanceTransferred.v1")
class BalanceTransferred:
    """`amount` is in favour of this account, and the same is against that of `other_id`. `fund`: it is fund money.

    `absorbed` says which of the two this account is of.
    """

    account_id: str
    payee_id: str
    partner_id: str
    other_id: str
    amount: Money
    books: Money | None
    fund: bool
    absorbed: bool
    undone: bool
    journal: Journal
    transferred_at: datetime


# Commands


@command("incentives.MergePayee.v1")
class MergePayee:
    """`revision` is the partner's own, so that an old fact that comes again changes nothing."""

    partner_id: str
    revision: int
    survivor_id: str
    effective_on: date
    now: datetime


@command("incentives.UnmergePayee.v1")
class UnmergePayee:
    partner_id: str
    revision: int
    survivor_id: str
    now: datetime


@frozen
class Stands:
    """What the ledger says of one kind of money: all that ever became payable, what of it is, and that in the books."""

    released: Money
    payable: Money
    books: Money | None = None


@command("incentives.TransferBalance.v1")
class TransferBalance:
    """What stands of the absorbed partner's earnings and fund money in one currency."""

    account_id: str
    to_account_id: str
    payee_id: str
    survivor_id: str
    earned: Stands
    fund: Stands
    now: datetime


# State


@frozen
class Merging:
    """With whom a payee is one, and from when on; `survivor_id` is absent where it stands for itself."""

    revision: int = 0
    survivor_id: str | None = None
    effective_on: date = date.max

    def survivor(self, day: date) -> str | None:
        """Whose standing counts on a day, if it is another's."""
        return self.survivor_id if day >= self.effective_on else None


@frozen
class Transferred:
    """All that an absorbed account got from a survivor's: below zero, for it gave."""

    amount: Money
    books: Money | None = None


class MergedPayee(Protocol):
    """A payee, as far as its merging goes."""

    @property
    def merging(self) -> Merging: ...


class Holder(Protocol):
    """An account, as far as transfers go: what payments draw on it, what waits for a dispute, what was transferred.

    The latter by survivor and whether it was fund money.
    """

    @property
    def drawn(self) -> list[Money]: ...

    @property
    def fund_drawn(self) -> list[Money]: ...

    def waiting(self, *, fund: bool) -> list[Money]: ...

    @property
    def transferred(self) -> Mapping[tuple[str, bool], Transferred]: ...


# Decisions


def merge_payee(wish: MergePayee, payee: MergedPayee) -> list[MergeEvent]:
    """Keeps with whom a partner is one; what is older than what is known changes nothing."""
    if wish.revision <= payee.merging.revision:
        return []
    return [
        PayeeMerged(
            payee_id=wish.partner_id,
            partner_id=wish.partner_id,
            revision=wish.revision,
            survivor_id=wish.survivor_id,
            effective_on=wish.effective_on,
            recorded_at=wish.now,
        )
    ]


def unmerge_payee(wish: UnmergePayee, payee: MergedPayee) -> list[MergeEvent]:
    if wish.revision <= payee.merging.revision:
        return []
    return [
        PayeeUnmerged(
            payee_id=wish.partner_id,
            partner_id=wish.partner_id,
            revision=wish.revision,
            survivor_id=wish.survivor_id,
            recorded_at=wish.now,
        )
    ]


Both = tuple[list[BalanceTransferred], list[BalanceTransferred]]


def transfer_balance(wish: TransferBalance, absorbed: Holder, _: Holder, payee: MergedPayee) -> Both:
    """Moves what is free to the survivor, or back all that ever was; what is drawn or disputed stays until that is over.

    So the absorbed account's part of the pair is below zero on the way to the survivor.
    """
    merged = payee.merging.survivor_id == wish.survivor_id
    found = [
        (fund, _free(stands, absorbed, fund=fund) if merged else _all_of_it(absorbed, wish.survivor_id, fund=fund))
        for fund, stands in ((False, wish.earned), (True, wish.fund))
    ]
    moved = [(fund, one) for fund, one in found if one and not one.amount.zero]
    return (
        [_transferred(wish, _negative(one), fund=fund, absorbed=True, undone=not merged) for fund, one in moved],
        [_transferred(_turned(wish), one, fund=fund, absorbed=False, undone=not merged) for fund, one in moved],
    )


def _free(stands: Stands, absorbed: Holder, *, fund: bool) -> Transferred:
    """What no payment draws on and nobody disputes, with the part of the books that it stands for."""
    amounts = (absorbed.drawn, absorbed.fund_drawn, absorbed.waiting(fund=fund))
    drawn, of_fund, waits = (total(one, stands.released.currency) for one in amounts)
    amount = stands.released - (of_fund if fund else drawn - of_fund) - waits
    if stands.books is None or stands.payable.zero:
        return Transferred(amount=amount)
    part = Fraction(stands.books.amount) * Fraction(amount.amount) / Fraction(stands.payable.amount)
    return Transferred(amount=amount, books=half_up(part, stands.books.currency))


def _all_of_it(absorbed: Holder, survivor_id: str, *, fund: bool) -> Transferred | None:
    """All that was ever transferred, to be given back."""
    return absorbed.transferred.get((survivor_id, fund))


def _negative(one: Transferred) -> Transferred:
    return Transferred(amount=-one.amount, books=None if one.books is None else -one.books)


def _turned(wish: TransferBalance) -> TransferBalance:
    """The transfer as the survivor's account sees it."""
    return replace(
        wish,
        account_id=wish.to_account_id,
        to_account_id=wish.account_id,
        payee_id=wish.survivor_id,
        survivor_id=wish.payee_id,
    )


def _transferred(
    wish: TransferBalance, one: Transferred, *, fund: bool, absorbed: bool, undone: bool
) -> BalanceTransferred:
    side: Side = FUND_MONEY if fund else "payable"
    return BalanceTransferred(
        account_id=wish.account_id,
        payee_id=wish.payee_id,
        partner_id=wish.payee_id,
        other_id=wish.survivor_id,
        amount=one.amount,
        books=one.books,
        fund=fund,
        absorbed=absorbed,
        undone=undone,
        journal=move(
            one.amount,
            debit="transferred",
            credit=side,
            payee_id=wish.payee_id,
            cause=wish.survivor_id,
            books=one.books,
        ),
        transferred_at=wish.now,
    )


# Evolve


def evolve(merging: Merging, happened: MergeEvent) -> Merging:
    match happened:
        case PayeeMerged():
            day = happened.effective_on
            return Merging(revision=happened.revision, survivor_id=happened.survivor_id, effective_on=day)
        case PayeeUnmerged():
            return Merging(revision=happened.revision)
        case _:
            assert_never(happened)


def with_transfer(
    known: Mapping[tuple[str, bool], Transferred], it: BalanceTransferred
) -> dict[tuple[str, bool], Transferred]:
    """What was transferred so far with one transfer more, as the absorbed account keeps it."""
    if not it.absorbed:
        return dict(known)
    before = known.get((it.other_id, it.fund), Transferred(amount=none_of(it.amount.currency)))
    books = it.books if before.books is None or it.books is None else before.books + it.books
    after = Transferred(amount=before.amount + it.amount, books=books or before.books)
    return {**known, (it.other_id, it.fund): after}
