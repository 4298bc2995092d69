"""What a registration leaves behind by which another one is known: a document, a look-alike website, an earlier question.

One stream a trace keeps it exact. What is left is only ever a reason to look, never one to refuse.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Decider
from chassis.event import event, frozen, stable_id
from contracts.values import AccountId, PartnerId, RegistrationId
from services.registration.domain.account_key import keys_of
from services.registration.domain.customer import Customer
from services.registration.domain.rules import ASKED, DOCUMENT, LOOK, DealRules

KEPT_MAX = 50


@frozen
class Trace:
    """Kind: document (by its SHA-256), look (what a domain looks like), asked (a partner and a key of the customer).

    `value` is what stands behind a look: the domain.
    """

    kind: str
    key: str
    value: str = ""

    @property
    def identity(self) -> str:
        return f"{self.kind}.{stable_id(self.kind, self.key)}"


def traces_of(
    customer: Customer, partner_id: PartnerId, documents: Iterable[str], rules: DealRules
) -> tuple[Trace, ...]:
    """What a registration leaves behind, as far as the rules watch for it."""
    found = (
        *(_look(customer) if LOOK in rules.watch_for else ()),
        *(documents_of(documents) if DOCUMENT in rules.watch_for else ()),
        *(_asked(customer, partner_id, rules) if ASKED in rules.watch_for else ()),
    )
    return tuple(dict.fromkeys(found))


def documents_of(sha256s: Iterable[str]) -> Iterator[Trace]:
    """The traces of documents."""
    for sha256 in sha256s:
        yield Trace(kind=DOCUMENT, key=sha256)


def _look(customer: Customer) -> Iterator[Trace]:
    if customer.domain and customer.looks_like:
        yield Trace(kind=LOOK, key=customer.looks_like, value=customer.domain)


def _asked(customer: Customer, partner_id: PartnerId, rules: DealRules) -> Iterator[Trace]:
    for key in keys_of(customer, rules.matching):
        yield Trace(kind=ASKED, key=f"{partner_id}|{key.scheme}:{key.value}")


# Events


@event("registration.TraceLeft.v1")
class TraceLeft:
    kind: str
    value: str
    registration_id: RegistrationId
    partner_id: PartnerId
    account_id: AccountId
    role: str
    country: str
    left_at: datetime


@event("registration.TracesCarried.v1")
class TracesCarried:
    """The newest traces, with which a stream goes on in its next segment."""

    left: tuple[TraceLeft, ...]


@dataclass(frozen=True)
class Traces:
    """Who left this trace, the newest last."""

    left: tuple[TraceLeft, ...] = ()


# Decisions


def leave(known: Traces, left: TraceLeft) -> list[TraceLeft | TracesCarried]:
    """Leaves a trace, once a registration."""
    before = any(one.registration_id == left.registration_id and one.value == left.value for one in known.left)
    return [] if before else [left]


def look_alikes(traces: Iterable[Trace], known: Iterable[Traces], own: Iterable[AccountId]) -> tuple[AccountId, ...]:
    """The accounts whose domain looks like this one and is another."""
    mine = frozenset(own)
    met = [
        left.account_id
        for trace, state in zip(traces, known, strict=True)
        for left in state.left
        if trace.kind == LOOK and left.value != trace.value and left.account_id not in mine
    ]
    return tuple(dict.fromkeys(met))


def same_documents(
    traces: Iterable[Trace], known: Iterable[Traces], partner_id: PartnerId
) -> tuple[RegistrationId, ...]:
    """The deals for which another partner has shown one of these documents."""
    met = [
        left.registration_id
        for trace, state in zip(traces, known, strict=True)
        for left in state.left
        if trace.kind == DOCUMENT and left.partner_id != partner_id
    ]
    return tuple(dict.fromkeys(met))


# Evolve


def evolve(traces: Traces, happened: TraceLeft | TracesCarried) -> Traces:
    match happened:
        case TraceLeft():
            return Traces((*traces.left, happened)[-KEPT_MAX:])
        case TracesCarried(left=left):
            return Traces(left)


def carry(traces: Traces) -> TracesCarried:
    return TracesCarried(left=traces.left)


TracesOf = Decider[Traces, TraceLeft | TracesCarried](kind="trace", initial=Traces(), evolve=evolve, carry=carry)
