"""Funds, requests and claims as tests write them: one fund at 50 %, euros, the year 2026."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from chassis.decider import Problem, Stream
from chassis.event import LEFT_OUT
from chassis.execution import flatten
from chassis.rulebook import Rules, RulesPublished, body_sha256
from chassis.testing.kit import Given
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.domain.budget import AllocateBudget, Budget, Budgets
from services.incentives.domain.claim import (
    Claim,
    ClaimItem,
    ClaimProof,
    Claims,
    DecideFundClaim,
    DraftClaim,
    SubmitClaim,
    evidence_as_written,
    evidence_of,
    requests_of,
    withdrawn_of,
)
from services.incentives.domain.fund_request import FundRequest, FundRequests
from services.incentives.domain.fund_request_commands import DecideFundRequest, DraftFundRequest, SubmitFundRequest
from services.incentives.domain.fund_request_events import ItemDecision, RequestDetails, RequestItem
from services.incentives.domain.fund_share import AllocateFund, pool_id, share_id

NOW = datetime(2026, 3, 16, 12, tzinfo=UTC)
TABLE = {handles.command: handles for handles in HANDLES}
FUND, PERIOD, PARTNER = "mdf", "2026", "p1"
SHARE = share_id(FUND, PERIOD, PARTNER)
INVOICE = ("invoice",)
AS_WRITTEN, FOR_EVER = 1, 2
"""The evaluators by which a document was known by its words alone, and by which what was once shown stayed shown."""


def fund(**changes: Any) -> dict[str, Any]:
    """The body of a fund: half of an event, proven by an invoice."""
    activities = [{"type": "event", "proofs": ["invoice"]}, {"type": "mailing", "proofs": []}]
    return {"name": "Joint marketing", "currency": "EUR", "activities": activities, **changes}


def published(body: dict[str, Any], version: int = 1, kind: str = "fund", book: str = FUND) -> RulesPublished:
    return RulesPublished(
        rulebook_id=book,
        kind=kind,
        scope="default",
        version=version,
        body=body,
        sha256=body_sha256(body),
        author="adm",
        publisher="fin",
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        effective_until=None,
        mode="live",
        published_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


class Log:
    """Streams with their events; every command is decided and kept as the executor would."""

    def __init__(self, *rules: RulesPublished) -> None:
        self.streams: dict[tuple[str, str], list[Any]] = {}
        self.happened: list[Any] = []
        self.table = dict(TABLE)
        for one in rules:
            self._keep(Rules.at(one.rulebook_id), [one])

    def _keep(self, stream: Stream, events: Sequence[Any]) -> None:
        self.streams.setdefault((stream.decider.kind, stream.identity), []).extend(events)

    def as_then(self, **evaluators: int) -> "Log":
        """The same log, deciding commands of these names as an earlier evaluator did."""
        then = [one for one in HANDLES if one.evaluator == evaluators.get(one.command.__name__)]
        self.table |= {one.command: one for one in then}
        return self

    def state(self, stream: Stream) -> Any:
        return stream.decider.fold(self.streams.get((stream.decider.kind, stream.identity), ()))

    def tell(self, *wishes: Any) -> "Log":
        """Decides each wish in turn. Raises the refusal."""
        for wish in wishes:
            handles = self.table[type(wish)]
            known = Given(handles, [])
            known.history = self.streams
            verdict = known.when(wish).verdict
            if verdict.refusal:
                raise verdict.refusal
            for stream, events in zip(flatten(handles.streams(wish)), verdict.events, strict=True):
                self._keep(stream, events)
                self.happened += events
        return self

    def refused(self, wish: Any) -> str:
        """The slug with which a wish is refused, "" when it is not."""
        try:
            self.tell(wish)
        except Problem as problem:
            return problem.slug
        return ""

    @property
    def share(self) -> Budget:
        found: Budget = self.state(Budgets.at(SHARE))
        return found

    def request(self, identity: str = "r1") -> FundRequest:
        found: FundRequest = self.state(FundRequests.at(identity))
        return found

    def claim(self, identity: str = "c1") -> Claim:
        found: Claim = self.state(Claims.at(identity))
        return found

    def submit_claim(self, identity: str = "c1", now: datetime = NOW) -> SubmitClaim:
        """The wish as the API prepares it."""
        claim, evaluator = self.claim(identity), self.table[SubmitClaim].evaluator
        shows = evidence_of if evaluator > AS_WRITTEN else evidence_as_written
        named = {"request_ids": requests_of(claim.it), "evidence_ids": shows(claim.it)}
        gone = withdrawn_of(claim) if evaluator > FOR_EVER else ()
        return SubmitClaim(claim_id=identity, **named, now=now, withdrawn_ids=gone or LEFT_OUT)


def eur(amount: str) -> Any:
    return money(amount, "EUR")


def funded(body: dict[str, Any] | None = None, amount: str = "10000.00", pool: str = "50000.00") -> Log:
    """A log in which the fund has a budget and the partner its share."""
    log = Log(published(body or fund()))
    budget = pool_id(FUND, PERIOD)
    log.tell(AllocateBudget(budget_id=budget, ref="year", amount=eur(pool), by="fin", now=NOW))
    return log.tell(allocate(amount))


def allocate(amount: str, ref: str = "first", partner_id: str = PARTNER) -> AllocateFund:
    return AllocateFund(
        fund_id=FUND, period=PERIOD, partner_id=partner_id, ref=ref, amount=eur(amount), by="fm", now=NOW
    )


def details(*amounts: str, **changes: Any) -> RequestDetails:
    items = tuple(RequestItem(text=f"cost {n}", amount=eur(one)) for n, one in enumerate(amounts, start=1))
    dates = {"starts_on": date(2026, 4, 1), "ends_on": date(2026, 4, 2)}
    return RequestDetails(**{"activity_type": "event", "items": items, **dates, **changes})


def asked(*amounts: str, identity: str = "r1", **changes: Any) -> tuple[DraftFundRequest, SubmitFundRequest]:
    draft = DraftFundRequest(
        fund_request_id=identity,
        partner_id=PARTNER,
        fund_id=FUND,
        period=PERIOD,
        details=details(*amounts, **changes),
        by="per",
        now=NOW,
    )
    return draft, SubmitFundRequest(fund_request_id=identity, fund_id=FUND, now=NOW)


def as_is(amount: str) -> ItemDecision:
    return ItemDecision(outcome="accepted_as_is", amount=eur(amount))


def decide(*items: ItemDecision, identity: str = "r1", **changes: Any) -> DecideFundRequest:
    fields: dict[str, Any] = {
        "fund_request_id": identity,
        "fund_id": FUND,
        "budget_id": SHARE,
        "items": items,
        "reason": "",
        "by": "fm",
        "roles": ("fund_manager",),
        "now": NOW,
    }
    return DecideFundRequest(**{**fields, **changes})


def accepted(amount: str = "10000.00", log: Log | None = None, identity: str = "r1") -> Log:
    """A log in which a request of one item was accepted as it is."""
    log = log or funded()
    return log.tell(*asked(amount, identity=identity), decide(as_is(amount), identity=identity))


def proof(number: str = "2026-17", file: str = "a", amount: str = "9000.00", kind: str = "invoice") -> ClaimProof:
    return ClaimProof(
        kind=kind,
        proof_sha256=file * 64,
        issuer="Hall Ltd",
        number=number,
        amount=eur(amount),
        issued_on=date(2026, 4, 3),
    )


def claimed(amount: str, *proofs: ClaimProof, identity: str = "c1", of_id: str = "r1", **changes: Any) -> DraftClaim:
    fields: dict[str, Any] = {
        "claim_id": identity,
        "kind": "fund",
        "partner_id": PARTNER,
        "of_id": of_id,
        "items": (ClaimItem(text="hall", amount=eur(amount)),),
        "proofs": proofs or (proof(),),
        "by": "per",
        "now": NOW,
    }
    return DraftClaim(**{**fields, **changes})


def verdict(eligible: str, identity: str = "c1", of_id: str = "r1", **changes: Any) -> DecideFundClaim:
    fields: dict[str, Any] = {
        "claim_id": identity,
        "fund_request_id": of_id,
        "fund_id": FUND,
        "budget_id": SHARE,
        "outcome": "approved",
        "eligible": eur(eligible),
        "reason": "",
        "by": "fm",
        "roles": ("fund_manager",),
        "now": NOW,
    }
    return DecideFundClaim(**{**fields, **changes})


def journals(log: Log) -> list[Any]:
    """Every entry that was posted."""
    return [entry for one in log.happened for entry in getattr(getattr(one, "journal", None), "entries", ())]


def payable(log: Log) -> Decimal:
    """What became payable to the partner."""
    return -sum((entry.amount.amount for entry in journals(log) if entry.account == "payable"), Decimal(0))
