"""Words for registration's tests: a customer, a wish, a deal in each status, by hand."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from chassis import bulk_api
from chassis.decider import Problem, Stream
from chassis.event import Sealed, decode, encode, stable_id
from chassis.execution import Handles, decide
from chassis.rulebook import Rules, RulesPublished, body_sha256
from contracts.values import AccountId, PartnerId, ProductLine, RegistrationId, money
from services.registration.application import HANDLES
from services.registration.domain.account_key import AccountKeys, Key
from services.registration.domain.customer import Customer
from services.registration.domain.deal_commands import ApproveDeal, RegisterDeal
from services.registration.domain.deal_events import Details, StepApproved, StepClosed, StepOpened
from services.registration.domain.matching import Candidate
from services.registration.domain.partner_facts import PartnerFactsRecorded, Partners

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CONTOSO = AccountId("account-contoso")
SEALED = Sealed(subject="deal-a", box="box")
BY_COMMAND = {handles.command: handles for handles in (*HANDLES, *bulk_api.HANDLES)}
BY_EVALUATOR = {(handles.command, handles.evaluator): handles for handles in HANDLES}


def product(sku: str | None = "100", family: str = "cloud") -> ProductLine:
    return ProductLine(family=family, sku=sku)


def customer(**changes: Any) -> Customer:
    known = Customer(
        name="Contoso GmbH", country="DE", domain="contoso.com", normal_names=("contoso",), libraries={"rapidfuzz": "3"}
    )
    return replace(known, **changes)


def details(**changes: Any) -> Details:
    return replace(Details(amount=money("10000.00", "EUR"), close_on=date(2026, 6, 1)), **changes)


def candidate(account_id: str = "account-other", **changes: Any) -> Candidate:
    known = Candidate(account_id=AccountId(account_id), name="Contoso Energy AG", country="DE", same_country=True)
    return replace(known, **changes)


def wish(deal: str = "a", partner: str = "p-1", **changes: Any) -> RegisterDeal:
    known = RegisterDeal(
        registration_id=RegistrationId(deal),
        number=f"R-{deal}",
        programme="default",
        partner_id=PartnerId(partner),
        customer=customer(),
        products=(product(),),
        role="resell",
        details=details(),
        keys=(Key(scheme="domain", value="contoso.com"),),
        accounts=(CONTOSO,),
        screening_id=f"screening-{deal}",
        submitted_by=f"seller-{partner}",
        now=NOW,
    )
    return replace(known, **changes)


def approval(deal: str = "a", partner: str = "p-1", **changes: Any) -> ApproveDeal:
    known = ApproveDeal(
        registration_id=RegistrationId(deal),
        accounts=(CONTOSO,),
        now=NOW,
        programme="default",
        partner_id=PartnerId(partner),
        screening_id=f"approval-{deal}",
        by="desk-1",
        roles=("deal_desk",),
    )
    return replace(known, **changes)


def rules(**body: Any) -> RulesPublished:
    return RulesPublished(
        rulebook_id="default",
        kind="deal_rules",
        scope="default",
        version=1,
        body=body,
        sha256=body_sha256(body),
        author="ada",
        publisher="ben",
        effective_from=datetime(2025, 1, 1, tzinfo=UTC),
        effective_until=None,
        mode="live",
        published_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def partner_facts(partner: str = "p-1", suspended: tuple[str, ...] = ()) -> PartnerFactsRecorded:
    return PartnerFactsRecorded(
        partner_id=PartnerId(partner),
        revision=1,
        types=("reseller",),
        suspended=suspended,
        source_event_id=f"activated-{partner}",
        source_position=7,
        recorded_at=NOW,
    )


REVIEW = (StepOpened, StepApproved, StepClosed)


class Town:
    """Everything that was ever decided, in memory: commands go in, the events of each stream are kept."""

    def __init__(self, *partners: str, **body: Any) -> None:
        self.events: dict[tuple[str, str], list[Any]] = {}
        self.decided: list[tuple[Any, Any]] = []
        self.keep(Rules.at("default"), [rules(**body)])
        for partner in partners or ("p-1", "p-2", "p-3"):
            self.keep(Partners.at(partner), [partner_facts(partner)])

    def keep(self, stream: Stream, events: Sequence[Any]) -> None:
        self.events.setdefault((stream.decider.kind, stream.identity), []).extend(events)

    def of(self, stream: Stream) -> list[Any]:
        return self.events.get((stream.decider.kind, stream.identity), [])

    def state(self, stream: Stream) -> Any:
        return stream.decider.fold(self.of(stream))

    def run(self, command: Any, evaluator: int | None = None) -> list[list[Any]]:
        """As `told`, without the steps of the review: those are looked at where the review is tested."""
        return [[one for one in events if not isinstance(one, REVIEW)] for events in self.told(command, evaluator)]

    def told(self, command: Any, evaluator: int | None = None) -> list[list[Any]]:
        """Decides as the executor would, or as an earlier evaluator did, and keeps what came of it. Refusals are raised."""
        handles: Handles = BY_EVALUATOR[type(command), evaluator] if evaluator else BY_COMMAND[type(command)]
        touched = handles.touched(command)
        streams, reads = touched.guarded, [self.state(stream) for stream in touched.read]
        verdict = decide(handles, command, touched, [self.state(stream) for stream in streams], reads)
        self.decided.append((command, verdict.refusal.slug if verdict.refusal else verdict.events))
        if verdict.refusal:
            raise verdict.refusal
        for stream, events in zip(streams, verdict.events, strict=True):
            self.keep(stream, events)
        encode(command)
        return [list(events) for events in verdict.events]

    def register(self, deal: str = "a", partner: str = "p-1", **changes: Any) -> list[Any]:
        """Registers with the keys as they are bound now, and answers the deal's events."""
        made = wish(deal, partner, **changes)
        keys = tuple(replace(key, account_id=self.state(AccountKeys.at(key.identity)).account_id) for key in made.keys)
        bound = tuple(dict.fromkeys(key.account_id for key in keys if key.account_id))
        return self.run(replace(made, keys=keys, accounts=bound or made.accounts))[0]


def decided_again(town: Town, again: Town) -> int:
    """All that a town decided, refusals too, comes out the same to the byte from its bytes in one that began alike.

    Answers how much that was.
    """
    for command, came_out in town.decided:
        with contextlib.suppress(Problem):
            again.told(decode(type(command).type, encode(command)))
        assert encode(again.decided[-1]) == encode((command, came_out))
    return len(town.decided)


def new_account(deal: str) -> AccountId:
    return AccountId(stable_id("account", deal))
