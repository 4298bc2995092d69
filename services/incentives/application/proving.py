"""What a statement's proof holds beside the events that its lines name: all from which they can be recomputed."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from chassis.application import Application
from chassis.decider import Stream, stream_base, stream_parts
from chassis.rulebook import Rulebook, Rules, RulesEnded, RulesPublished
from chassis.segments import StreamContinued
from chassis.store.port import Recorded
from services.incentives.application.sales import rules_of_kind
from services.incentives.domain.account import Accounts
from services.incentives.domain.books import CURRENCY, AllBooks, BooksOpened, RatesRecorded, months_about
from services.incentives.domain.claim import (
    FUND_CLAIM,
    ClaimDecided,
    ClaimDrafted,
    ClaimInstalmentReleased,
    Claims,
    requests_of,
)
from services.incentives.domain.exchange import RATE_DAYS_MAX, Rate
from services.incentives.domain.fund_request import FundRequests
from services.incentives.domain.fund_request_events import FundRequestDecided, FundRequestDrawn
from services.incentives.domain.journal import NO_JOURNAL
from services.incentives.domain.merging import BalanceTransferred
from services.incentives.domain.meter import Meters
from services.incentives.domain.payee import Payees
from services.incentives.domain.payee_events import TaxFormDecided, TaxFormSubmitted
from services.incentives.domain.payment import Payments
from services.incentives.domain.payment_events import InvoiceTaxed, PaymentApproved, PaymentBlocked, PaymentDeclined
from services.incentives.domain.payment_rules import PAYMENT
from services.incentives.domain.special_price import (
    SpecialPriceEnded,
    SpecialPriceGranted,
    SpecialPrices,
    SpecialPriceUsed,
)

TELL = (
    *(ClaimDrafted, ClaimDecided, ClaimInstalmentReleased, FundRequestDecided, FundRequestDrawn),
    *(SpecialPriceGranted, SpecialPriceUsed, SpecialPriceEnded, TaxFormSubmitted, TaxFormDecided),
)
"""What is told of the streams behind claims and payments; who else showed a document, a claimant does not learn."""


async def behind(app: Application, tenant: str, named: Sequence[Recorded], to_position: int) -> list[Recorded]:
    """All that windows, claims, payments and the books of these events follow from, up to a position."""
    named = [*named, *await _earlier(app, tenant, named, to_position)]
    found = [
        *named,
        *await _windows(app, named),
        *await _claims(app, tenant, named),
        *await _payments(app, tenant, named),
    ]
    told = [one for one in found if one.position <= to_position]
    return [*told, *await _rates(app, tenant, told)]


async def recorded_at(app: Application, position: int) -> Recorded:
    """The event at a position of the log."""
    [recorded] = await app.executor.store.feed(position - 1, 1)
    return recorded


async def whole_stream(app: Application, stream: str) -> list[Recorded]:
    """The events of all segments of a stream."""
    found: list[Recorded] = []
    segment: str | None = stream
    while segment:
        loaded = await app.executor.store.load(segment)
        segment = next((one.event.next for one in loaded if isinstance(one.event, StreamContinued)), None)
        found += [one for one in loaded if not isinstance(one.event, StreamContinued)]
    return found


async def _windows(app: Application, named: Iterable[Recorded]) -> list[Recorded]:
    """All that happened in the windows of these events."""
    streams = {stream_base(one.stream) for one in named if stream_parts(one.stream)[1] == Meters.kind}
    return [one for stream in sorted(streams) for one in await whole_stream(app, stream)]


async def _told(app: Application, tenant: str, streams: Iterable[Stream]) -> list[Recorded]:
    names = sorted({stream.name(tenant) for stream in streams})
    return [one for name in names for one in await whole_stream(app, name) if isinstance(one.event, TELL)]


async def _earlier(app: Application, tenant: str, named: Sequence[Recorded], to_position: int) -> list[Recorded]:
    """What a payment had drawn that comes back, and what was moved to another account or from it before."""
    back = {one.event.payment_id for one in named if isinstance(one.event, PaymentBlocked | PaymentDeclined)}
    moved = {one.event.account_id for one in named if isinstance(one.event, BalanceTransferred) and one.event.undone}
    streams = [*(Payments.at(name).name(tenant) for name in back), *(Accounts.at(one).name(tenant) for one in moved)]
    drawn = (PaymentApproved, PaymentBlocked, InvoiceTaxed, BalanceTransferred)
    found = [one for stream in sorted(streams) for one in await whole_stream(app, stream)]
    return [one for one in found if isinstance(one.event, drawn) and one.position <= to_position]


# Claims


async def _claims(app: Application, tenant: str, named: Iterable[Recorded]) -> list[Recorded]:
    """The claims by which money became payable, with their requests and the fund's rules, or their agreements."""
    decided = [one.event.claim_id for one in named if isinstance(one.event, ClaimDecided | ClaimInstalmentReleased)]
    claims = await _told(app, tenant, map(Claims.at, decided))
    drafts = [one.event for one in claims if isinstance(one.event, ClaimDrafted)]
    requests = await _told(app, tenant, (FundRequests.at(name) for it in drafts for name in requests_of(it)))
    prices = (SpecialPrices.at(it.of_id) for it in drafts if it.kind != FUND_CLAIM)
    terms = {(one.event.fund_id, one.event.terms.plan_version) for one in requests if _accepts(one.event)}
    rules = [one for fund, version in sorted(terms) for one in await _published(app, tenant, fund, version)]
    return [*claims, *requests, *rules, *await _told(app, tenant, prices)]


def _accepts(happened: object) -> bool:
    return isinstance(happened, FundRequestDecided) and happened.terms is not None


async def _published(app: Application, tenant: str, rulebook_id: str, version: int) -> list[Recorded]:
    """The publication of a version of rules, and its end."""
    found = await whole_stream(app, Rules.at(rulebook_id).name(tenant))
    kinds = RulesPublished | RulesEnded
    return [one for one in found if isinstance(one.event, kinds) and one.event.version == version]


# Payments


async def _payments(app: Application, tenant: str, named: Iterable[Recorded]) -> list[Recorded]:
    """The payees' tax forms, and the rules that held when their payments were approved."""
    approved = [one.event for one in named if isinstance(one.event, PaymentApproved)]
    if not approved:
        return []
    forms = await _told(app, tenant, (Payees.at(it.payee_id) for it in approved))
    held = {one for it in approved for one in await _held(app, tenant, it.approved_at)}
    rules = [
        one for rulebook_id, version in sorted(held) for one in await _published(app, tenant, rulebook_id, version)
    ]
    return [*forms, *rules]


async def _held(app: Application, tenant: str, at: datetime) -> list[tuple[str, int]]:
    """Which payment rules held at an instant; none, or one version of one rulebook."""
    peek = app.executor.peek(tenant)
    books: list[Rulebook] = [await peek(Rules.at(name)) for name in await rules_of_kind(app, tenant, PAYMENT)]
    held = [version for book in books if (version := book.in_force(at))]
    return [(one.rulebook_id, one.version) for one in held[:1]]


# The books


async def _rates(app: Application, tenant: str, booked: Sequence[Recorded]) -> list[Recorded]:
    """The currency of the books, and of each pair and day at which something was booked the rates of the week before it."""
    wanted = [(pair, one) for one in booked for pair in _pairs(one.event)]
    days = [one.recorded_at.date() for _, one in wanted]
    opened = await whole_stream(app, AllBooks.at(CURRENCY).name(tenant))
    last = max((one.position for one in booked), default=0)
    months = [one for name in months_about(days) for one in await whole_stream(app, AllBooks.at(name).name(tenant))]
    rates = [one for one in months if isinstance(one.event, RatesRecorded) and _serves(one, wanted)]
    return [*(one for one in opened if isinstance(one.event, BooksOpened) and one.position <= last), *rates]


def _pairs(happened: object) -> set[frozenset[str]]:
    """The currencies between which a journal was converted."""
    entries = getattr(happened, "journal", NO_JOURNAL).entries
    return {frozenset((one.amount.currency, one.books_amount.currency)) for one in entries if one.books_amount}


def _serves(recorded: Recorded, wanted: Sequence[tuple[frozenset[str], Recorded]]) -> bool:
    """Whether something was booked by one of these rates, or could have been: after them, and within their week."""
    rates = recorded.event.rates
    return any(
        recorded.position < one.position
        and any({rate.base, rate.quote} == pair and 0 <= _age(rate, one) <= RATE_DAYS_MAX + 1 for rate in rates)
        for pair, one in wanted
    )


def _age(rate: Rate, booked: Recorded) -> int:
    return (booked.recorded_at.date() - rate.on).days
