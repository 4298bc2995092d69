"""What is asked of a payment."""

from datetime import date, datetime

from chassis.event import LEFT_OUT, LeftOut, command
from contracts.values import Money
from services.incentives.domain.exchange import NO_BOOKS, InBooks
from services.incentives.domain.thresholds import YearSoFar


@command("incentives.ProposePayment.v1")
class ProposePayment:
    """`released` is all that became payable to this payee so far, whatever was paid of it, as the ledger had it.

    `fund_released` is what of it is fund money that stands apart from earnings. The `final` payment to a payee
    is made below the minimum too.
    """

    payment_id: str
    account_id: str
    statement_id: str
    released: Money
    released_position: int
    by: str
    now: datetime
    rules: tuple[str, ...] = ()
    fund_released: Money | None = None
    final: bool = False


@command("incentives.AttachInvoice.v1")
class AttachInvoice:
    """The payee's invoice. `country` is the one whose tax it charges; `books` are the books' currency and rates."""

    payment_id: str
    account_id: str
    number: str
    net: Money
    tax: Money
    invoice_sha256: str
    now: datetime
    country: str | None = None
    books: InBooks = NO_BOOKS


@command("incentives.ApprovePayment.v1")
class ApprovePayment:
    """`rules` are the rulebooks that hold, `roles` those of whoever approves, `books` what the amount stands for.

    `fund_books` is what of `books` its fund money stands for, `so_far` what the thresholds of the rules look at, `payable`
    what the payee's earnings stand at, `disputed` whether a line that it pays is.
    """

    payment_id: str
    payee_id: str
    by: str
    now: datetime
    roles: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    books: Money | None = None
    fund_books: Money | None = None
    so_far: YearSoFar | None = None
    payable: Money | LeftOut = LEFT_OUT
    disputed: bool = False


@command("incentives.ResumePayment.v1")
class ResumePayment:
    payment_id: str
    payee_id: str
    by: str
    now: datetime
    rules: tuple[str, ...] = ()
    so_far: YearSoFar | None = None
    disputed: bool = False


@command("incentives.SubmitPayment.v1")
class SubmitPayment:
    """`bank` names the vendor's account that is drawn on.

    `disputed` is what the first evaluators went by; now the account itself says whether a line that it pays is.
    """

    payment_id: str
    payee_id: str
    by: str
    now: datetime
    rules: tuple[str, ...] = ()
    so_far: YearSoFar | None = None
    bank: str | None = None
    disputed: bool = False
    account_id: str = ""


@command("incentives.ReportOutcome.v1")
class ReportOutcome:
    """Outcome: paid, rejected, unknown or returned.

    `unsent`: the newest reference was not handed over, because this earlier one turned out to be paid after all. `says` is
    why, in the provider's words.
    """

    payment_id: str
    account_id: str
    reference: str
    outcome: str
    provider_event_id: str
    on: date
    now: datetime
    books: InBooks = NO_BOOKS
    unsent: bool = False
    says: str | LeftOut = LEFT_OUT


@command("incentives.NoteUnreported.v1")
class NoteUnreported:
    """The time in which a report of this reference should have come is over."""

    payment_id: str
    reference: str
    now: datetime


@command("incentives.RetryPayment.v1")
class RetryPayment:
    payment_id: str
    by: str
    now: datetime


@command("incentives.DeclinePayment.v1")
class DeclinePayment:
    payment_id: str
    account_id: str
    category: str
    by: str
    now: datetime
