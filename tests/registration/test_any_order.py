"""Deals, claims and accounts under random commands, clocks, merges and races: whatever happens, the promises hold.

Commands are prepared as the service prepares them, on what stood then, and some are decided only after others have come
in between. Refusals are welcome; what is checked is what they leave behind. Who waits behind whom is compared with the
rule as it is told in `queue_order`. The examples are the same each time, so that what they reach is known and checked.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chassis.case import OPEN, Stage
from chassis.decider import Problem, Raced, Stream
from contracts.values import AccountId, PartnerId, RegistrationId
from services.registration.adapters.account_index import READ, TenantIndex
from services.registration.application.on_accounts import joining, parting
from services.registration.application.on_deals import (
    Asked,
    as_screened,
    displacing,
    on_deal,
    screening_again,
)
from services.registration.application.on_disputes import concluding, on_dispute
from services.registration.application.on_findings import deciding
from services.registration.application.on_invitations import invitation_id
from services.registration.application.ports import Near
from services.registration.application.registering import Submission, prepare_registration
from services.registration.domain.account import Account, Accounts, AccountsMerged, AccountsSplit
from services.registration.domain.account_key import AccountKeys, Key
from services.registration.domain.approving import CUSTOMER_OVERRIDE
from services.registration.domain.claim import CONTESTED, HELD, PENDING, WAITING, Claim
from services.registration.domain.claims import Claims, ClaimsOf
from services.registration.domain.customer import Customer
from services.registration.domain.deal import MOVES, Deal, Deals, Status
from services.registration.domain.deal_commands import (
    ApproveDeal,
    CloseDeal,
    EndProtection,
    PromoteDeal,
    QueueDeal,
    RejectDeal,
    ResubmitDeal,
    ReturnDeal,
    RevokeDeal,
    WithdrawDeal,
)
from services.registration.domain.deal_events import DealApproved, DealPromoted, DealQueued, DealRejected, Evidence
from services.registration.domain.dispute import OUTCOMES, DecideDispute, Disputes
from services.registration.domain.invitation import AcceptInvitation, InviteParticipant, LeaveDeal
from services.registration.domain.matching import IndexSeen
from services.registration.domain.merging import Target
from services.registration.domain.overlap import overlap
from tests.registration.deals import NOW, SEALED, Town, customer, decided_again, details, product
from tests.registration.queue_order import HOLDS, Ask, Queue

PARTNERS = ("p-1", "p-2", "p-3", "p-4")
DOMAINS = ("contoso.com", "contoso.de", "fabrikam.com")
NAMES = {"contoso.com": "Contoso Energy", "contoso.de": "Contoso Energie", "fabrikam.com": "Fabrikam"}
DESKS = ("desk-1", "desk-2")
APPEAL_DAYS = 15
LETTER = Evidence(kind="letter", dated_on=NOW.date(), sha256="a" * 64)
OLD_LETTER = Evidence(kind="letter", dated_on=NOW.date() - timedelta(days=60), sha256="b" * 64)
MAIL = Evidence(kind="mail", dated_on=NOW.date(), sha256="c" * 64)
PAPERS = ((LETTER,), (LETTER,), (OLD_LETTER,), (OLD_LETTER, MAIL), (MAIL,), ())
POLICIES = (
    *(("first_to_register",), ("most_evidence", "first_to_register")),
    *(("first_to_approve",), ("customer_choice", "first_to_approve")),
)
QUEUE_MAXES = (10, 2)
FULL = "queue-full"
DEAL_MAX = 12

TABLE: dict[Status, set[Status]] = {
    Status.NONE: {Status.IN_REVIEW, Status.WAITING, Status.APPROVED, Status.REJECTED},
    Status.IN_REVIEW: {
        *(Status.ACTION_REQUIRED, Status.WAITING, Status.APPROVED),
        *(Status.REJECTED, Status.WITHDRAWN),
    },
    Status.ACTION_REQUIRED: {
        *(Status.IN_REVIEW, Status.WAITING, Status.APPROVED),
        *(Status.REJECTED, Status.WITHDRAWN),
    },
    Status.WAITING: {Status.IN_REVIEW, Status.APPROVED, Status.REJECTED, Status.WITHDRAWN},
    Status.APPROVED: {Status.EXPIRED, Status.REVOKED, Status.CLOSED, Status.WITHDRAWN},
    Status.EXPIRED: {Status.CLOSED},
    **{key: set() for key in (Status.REJECTED, Status.REVOKED, Status.CLOSED, Status.WITHDRAWN)},
}
"""The table of the deal's life: from each status, those that one command may lead to."""

ACTS = {
    "return": (Status.IN_REVIEW,),
    "resubmit": (Status.ACTION_REQUIRED,),
    "reject": (Status.IN_REVIEW, Status.WAITING),
    "withdraw": (Status.IN_REVIEW, Status.WAITING, Status.APPROVED),
    "end": (Status.APPROVED,),
    "won": (Status.APPROVED, Status.EXPIRED),
    "revoke": (Status.APPROVED,),
}
"""What people and the clock do, and the statuses in which it makes sense."""

CLAIMED = {
    Status.IN_REVIEW: (PENDING,),
    Status.ACTION_REQUIRED: (PENDING,),
    Status.WAITING: (WAITING,),
    Status.APPROVED: (HELD, CONTESTED),
}
"""How a deal in each status stands in line; in every other one it does not."""


REACHED = (
    *("AccountsMerged", "AccountsSplit", "DisputeConcluded", "ProtectionEnded", "DealRevoked", "DisplacementApproved"),
    *("DealPromoted", "place 2", FULL, "frees 2", "frees before one that asked earlier"),
    *("arrived, decided", "arrived, refused", "decided again"),
)
"""What the lives below come to in all, or they prove nothing of it: events, places in line, and what became of races."""


def done(prepared: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        prepared.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


def number(name: RegistrationId) -> int:
    """Deals are numbered as they are submitted."""
    return int(name.removeprefix("deal-"))


def by_instant(one: list[RegistrationId], other: list[RegistrationId]) -> list[RegistrationId]:
    """Two lines as one: whoever stands first in either and asked first goes first."""
    left, right = list(one), [name for name in other if name not in one]
    joined: list[RegistrationId] = []
    while left and right:
        joined.append((left if number(left[0]) < number(right[0]) else right).pop(0))
    return [*joined, *left, *right]


class Peek:
    """What a command is prepared on: the town as it stands."""

    def __init__(self, town: Town) -> None:
        self._town = town

    async def __call__(self, stream: Stream) -> Any:
        return self._town.state(stream)

    async def all(self, streams: Iterable[Stream]) -> list[Any]:
        return [self._town.state(stream) for stream in streams]


class Index:
    """The account index, filled from the town."""

    def __init__(self) -> None:
        self.tenant = TenantIndex()

    async def near(self, _: str, wanted: Customer, accounts: Iterable[AccountId]) -> Any:
        found = self.tenant.near(wanted, frozenset(accounts))
        return Near(candidates=found, index=IndexSeen(version=1, position=1))


class AnyOrder(RuleBasedStateMachine):
    """One vendor, four partners, three customers that may turn out to be fewer."""

    reached: ClassVar[Counter[str]] = Counter()

    @initialize(
        auto=st.sampled_from((False, False, True)),
        policies=st.sampled_from(POLICIES),
        queue_max=st.sampled_from(QUEUE_MAXES),
    )
    def open(self, auto: bool, policies: tuple[str, ...], queue_max: int) -> None:
        limits = [{"amount": "100000.00", "currency": "EUR"}]
        body: dict[str, Any] = {"auto_approval": {"on": True, "limits": limits}} if auto else {}
        self.rules = {"priority": policies, "queue_max": queue_max, **body}
        self.town = Town(*PARTNERS, **self.rules)
        self.index, self.now, self.policies, self.queue_max = Index(), NOW, policies, queue_max
        self.deals: list[RegistrationId] = []
        self.merges: list[tuple[str, AccountId]] = []
        self.orders: dict[AccountId, list[RegistrationId]] = {}
        self.absorbed: dict[str, list[RegistrationId]] = {}
        self.prepared: Any = None
        self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "town"):
            self.reached["decided again"] += decided_again(self.town, Town(*PARTNERS, **self.rules))

    # What the rules use

    def peek(self) -> Any:
        return Peek(self.town)

    def new_id(self, what: str) -> str:
        self.count += 1
        return f"{what}-{self.count}"

    def asked(self, deal: str) -> Asked:
        return Asked(registration_id=deal, now=self.now)

    def deal(self, name: str) -> Deal:
        found: Deal = self.town.state(Deals.at(name))
        return found

    def line(self, account: str) -> Claims:
        found: Claims = self.town.state(ClaimsOf.at(account))
        return found

    def draw(self, data: st.DataObject, *statuses: Status) -> RegistrationId:
        """A deal in one of the statuses, or any where there is none: that is refused."""
        fitting = [name for name in self.deals if self.deal(name).status in statuses]
        return data.draw(st.sampled_from(fitting or self.deals))

    def accounts(self) -> list[AccountId]:
        return [AccountId(name) for kind, name in self.town.events if kind == "account"]

    def attempt(self, prepare: Callable[[], Any]) -> list[list[Any]]:
        """Prepares and decides a command; refused, or out of date, it leaves all as it was."""
        try:
            return self.decide(prepare())
        except (Problem, Raced) as no:
            self.reached[type(no).__name__] += 1
            return []

    def decide(self, wish: Any) -> list[list[Any]]:
        before = {name: self.deal(name).status for name in self.deals}
        told = {account: len(self.told(account)) for account in self.accounts()}
        events = self.town.run(wish)
        for one in (one for stream in events for one in stream):
            self.reached[type(one).__name__] += 1
            if getattr(type(one), "type", "") in READ:
                self.index.tenant.take(one)
        for name in self.deals:
            after = self.deal(name).status
            assert after in {before.get(name, Status.NONE), *TABLE[before.get(name, Status.NONE)]}
        self.as_published(wish, before, events)
        self.follow(one for stream in events for one in stream)
        self.in_order(one for stream in events for one in stream)
        self.freed_in_order(told)
        return events

    def as_published(self, wish: Any, before: dict[RegistrationId, Status], events: list[list[Any]]) -> None:
        """A command that changed its deal began and led where the published machine says."""
        if type(wish) in MOVES and events[0]:
            move, name = MOVES[type(wish)], wish.registration_id
            begun = before.get(name, Status.NONE)
            assert begun in move.begins
            assert self.deal(name).status in (begun, *move.leads)

    # The order of the queue

    def follow(self, events: Iterable[Any]) -> None:
        """Keeps who asked for which customer in which order.

        Two customers that become one have one line, each by its instant; taken back, each has its own again.
        """
        for one in events:
            match one:
                case AccountsMerged(survivor_id=survivor, absorbed_id=absorbed, merge_id=merge_id):
                    self.absorbed[merge_id] = self.orders.pop(absorbed)
                    self.orders[survivor] = by_instant(self.orders[survivor], self.absorbed[merge_id])
                case AccountsSplit(survivor_id=survivor, absorbed_id=absorbed, merge_id=merge_id):
                    here, back = (self.line(account).deals for account in (survivor, absorbed))
                    both, old = self.orders[survivor], iter([n for n in self.absorbed[merge_id] if n in back])
                    came = set(self.absorbed[merge_id])
                    self.orders[survivor] = [name for name in both if name in here]
                    self.orders[absorbed] = [next(old) if name in came else name for name in both if name in back]
                case _:
                    pass
        for account in self.accounts():
            order, deals = self.orders.setdefault(account, []), self.line(account).deals
            order += sorted((name for name in deals if name not in order), key=number)

    def looked_at(self, name: RegistrationId) -> list[Queue]:
        """The lines in which a deal asks, as they stood when it was looked at: in review."""
        mine = self.deal(name).claim()
        return [
            self.queue_of(account, (*(c for c in self.line(account).live if c.registration_id != name), mine))
            for account in self.deal(name).accounts
        ]

    def queue_of(self, account: AccountId, live: Iterable[Claim]) -> Queue:
        order = self.orders[account]
        asks = [self.ask_of(claim, order.index(claim.deal) if claim.deal in order else len(order)) for claim in live]
        return Queue(asks, self.policies, self.now)

    def blocked(self, name: RegistrationId) -> bool:
        return any(queue.blocked(name) for queue in self.looked_at(name))

    def told(self, account: str) -> list[Any]:
        return self.town.of(ClaimsOf.at(account))

    def ask_of(self, claim: Claim, position: int) -> Ask:
        """What is asked or held, without what the line itself says of its order."""
        details = self.deal(claim.deal).first.details
        holds = claim.state in (HELD, CONTESTED)
        return Ask(
            name=claim.registration_id,
            deal=claim.deal,
            partner=claim.partner_id,
            sku=claim.reach.products[0].sku,
            role=claim.reach.role,
            position=position,
            papers=tuple((one.kind, one.dated_on) for one in details.evidence),
            state=HOLDS if holds else claim.state,
            until=claim.protection.end if claim.protection and claim.exclusive else None,
        )

    def in_order(self, events: Iterable[Any]) -> None:
        """Whoever is approved, let back, queued or turned away was where the rule puts it."""
        for one in events:
            match one:
                case DealPromoted(registration_id=name):
                    assert not self.blocked(name)
                case DealApproved(registration_id=name, basis=basis) if basis != CUSTOMER_OVERRIDE:
                    assert not self.blocked(name)
                case DealQueued(registration_id=name, place=place):
                    self.placed(name, place <= self.queue_max)
                    assert place == self.place(name)
                case DealRejected(registration_id=name, reasons=reasons) if FULL in [why.code for why in reasons]:
                    self.placed(name, False)
                case _:
                    pass

    def placed(self, name: RegistrationId, taken: bool) -> None:
        assert self.blocked(name)
        assert taken == (self.place(name) <= self.queue_max)
        self.reached[f"place {self.place(name)}" if taken else FULL] += 1

    def place(self, name: RegistrationId) -> int:
        return max(queue.place(name) for queue in self.looked_at(name))

    def freed_in_order(self, told: dict[AccountId, int]) -> None:
        """What a line tells last names those who wait for nobody in it any more, in the order in which they are served."""
        for account in self.accounts():
            new = self.told(account)[told.get(account, 0) :]
            if new and hasattr(new[-1], "frees"):
                free = self.queue_of(account, self.line(account).live).free()
                assert new[-1].frees == free
                self.reached[f"frees {len(free)}"] += 1
                self.reached["frees before one that asked earlier"] += any(
                    claim.state == WAITING and self.deals.index(claim.registration_id) < self.deals.index(one)
                    for claim in self.line(account).live
                    for one in free[:1]
                )

    # Time

    @rule(hours=st.sampled_from((1, 24, 24 * 40, 24 * 100)))
    def pass_time(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.prepared = None

    # Deals

    @precondition(lambda self: len(self.deals) < DEAL_MAX)
    @rule(
        partner=st.sampled_from(PARTNERS),
        domain=st.sampled_from(DOMAINS),
        sku=st.sampled_from(("100", "200", None)),
        role=st.sampled_from(("resell", "resell", "distribute")),
        scope=st.sampled_from(("entity", "entity", "group")),
        papers=st.sampled_from(PAPERS),
    )
    def register(
        self,
        partner: str,
        domain: str,
        sku: str | None,
        role: str,
        scope: str,
        papers: tuple[Evidence, ...] = (LETTER,),
    ) -> None:
        self.now += timedelta(seconds=1)
        name = RegistrationId(self.new_id("deal"))
        normal = (NAMES[domain].lower(),)
        wish = Submission(
            registration_id=name,
            programme="default",
            partner_id=PartnerId(partner),
            customer=customer(name=NAMES[domain], domain=domain, normal_names=normal),
            products=(product(sku),),
            role=role,
            deal_type="new",
            scope=scope,
            details=details(close_on=self.now.date() + timedelta(days=30), evidence=papers),
            screening_id=f"screening-{name}",
            by=f"seller-{partner}",
            now=self.now,
        )
        if self.attempt(lambda: done(prepare_registration(self.peek(), self.index, "acme", wish))):
            self.deals.append(name)

    def approving(self, deal: str, desk: str) -> Callable[[], ApproveDeal]:
        def make(_: Deal, fields: dict[str, Any]) -> ApproveDeal:
            return ApproveDeal(**fields, by=desk, roles=("deal_desk", "override"))

        prepare = screening_again(self.asked(deal), self.index, "acme", make, self.new_id("look"))
        return lambda: done(prepare(self.peek()))

    @precondition(lambda self: self.deals)
    @rule(data=st.data(), desk=st.sampled_from(DESKS))
    def approve(self, data: st.DataObject, desk: str) -> None:
        self.attempt(self.approving(self.draw(data, Status.IN_REVIEW), desk))

    @precondition(lambda self: self.deals)
    @rule(data=st.data())
    def displace(self, data: st.DataObject) -> None:
        deal = self.draw(data, Status.WAITING)
        for desk in DESKS:

            async def made(_: Any, desk: str = desk) -> Any:
                return self.approving(deal, desk)()

            prepare = displacing(made, CUSTOMER_OVERRIDE)
            self.attempt(lambda prepare=prepare: done(prepare(self.peek())))  # type: ignore[misc]

    @precondition(lambda self: self.deals)
    @rule(data=st.data(), what=st.sampled_from(tuple(ACTS)))
    def act(self, data: st.DataObject, what: str) -> None:
        deal = self.draw(data, *ACTS[what])
        for desk in DESKS if what == "revoke" else DESKS[:1]:
            self.attempt(self.acting(deal, what, desk))

    def acting(self, deal: str, what: str, desk: str) -> Callable[[], Any]:
        made: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
            "return": lambda _, f: ReturnDeal(**f, fields=("amount",), message=SEALED, by=desk),
            "reject": lambda _, f: RejectDeal(**f, reason_code="other", message=SEALED, by=desk),
            "withdraw": lambda _, f: WithdrawDeal(**f, reason_code="partner", by="seller"),
            "end": lambda _, f: EndProtection(**f),
            "won": lambda _, f: CloseDeal(**f, result="won", opportunity_id="o", source_event_id="e"),
            "revoke": lambda _, f: RevokeDeal(**f, reason_code="misuse", evidence=(LETTER,), by=desk),
        }
        if what != "resubmit":
            return lambda: done(on_deal(self.asked(deal), made[what])(self.peek()))
        changed = replace(self.deal(deal).now_details, tender="none")

        def resubmit(_: Deal, fields: dict[str, Any]) -> ResubmitDeal:
            return ResubmitDeal(**fields, details=changed, by="seller")

        prepare = screening_again(self.asked(deal), self.index, "acme", resubmit, self.new_id("look"))
        return lambda: done(prepare(self.peek()))

    @precondition(lambda self: self.deals)
    @rule(data=st.data(), command=st.sampled_from((PromoteDeal, QueueDeal)))
    def move(self, data: st.DataObject, command: type[Any]) -> None:
        self.moved(self.draw(data, Status.WAITING if command is PromoteDeal else Status.IN_REVIEW), command)

    def moved(self, deal: RegistrationId, command: type[Any]) -> None:
        """The queue moves, as the deadlines move it: whoever nobody blocks comes back, whoever is blocked waits."""
        begins, blocked = (Status.WAITING, False) if command is PromoteDeal else (Status.IN_REVIEW, True)
        expected = self.deal(deal).status == begins and self.blocked(deal) == blocked
        prepare = as_screened(self.asked(deal), command, self.new_id("look"))
        told = self.attempt(lambda: done(prepare(self.peek())))
        assert bool(told and told[0]) == expected

    @precondition(lambda self: len(self.deals) < DEAL_MAX - len(PARTNERS))
    @rule(
        whose=st.permutations(PARTNERS),
        domain=st.sampled_from(DOMAINS),
        skus=st.lists(st.sampled_from(("100", "100", "200", None)), min_size=4, max_size=4),
        papers=st.lists(st.sampled_from(PAPERS), min_size=4, max_size=4),
        ends=st.sampled_from(("end", "withdraw", "won", "revoke")),
    )
    def crowd(self, whose: list[str], domain: str, skus: list[str], papers: list[Any], ends: str) -> None:
        """Everybody asks for one customer and is approved at once; the others wait; the holds end, and the line moves."""
        for partner, sku, shown in zip(whose, skus, papers, strict=True):
            self.register(partner, domain, sku, "resell", "entity", shown)
        crowd = self.deals[-len(PARTNERS) :]
        for wish in [self.ready(deal, DESKS[0]) for deal in crowd]:
            self.arrived(wish)
        for deal in crowd:
            self.attempt(self.approving(deal, DESKS[0]))
            self.moved(deal, QueueDeal)
        if ends == "end":
            self.pass_time(24 * 100)
        for deal in crowd:
            for desk in DESKS if self.deal(deal).status == Status.APPROVED else ():
                self.attempt(self.acting(deal, ends, desk))
        self.let_back()

    @precondition(lambda self: self.deals)
    @rule()
    def let_back(self) -> None:
        """Whoever waits for nobody any more comes back into review."""
        for deal in self.deals:
            self.moved(deal, PromoteDeal)

    @precondition(lambda self: self.deals)
    @rule(data=st.data(), verdict=st.sampled_from(("same", "different", "related")))
    def decide_finding(self, data: st.DataObject, verdict: str) -> None:
        deal = self.draw(data, Status.IN_REVIEW)
        seen = self.deal(deal).screened
        found = [one.candidate.account_id for one in seen.screening.findings] if seen else []
        account = data.draw(st.sampled_from(found or self.accounts()))
        told = {"account_id": account, "verdict": verdict, "reason": SEALED, "by": "desk-1"}
        self.say(deal, told)

    def say(self, deal: str, told: dict[str, Any]) -> None:
        """Says what a similar customer is; one that is the same may go on with the deal's."""
        held, merge_id = self.held(), self.new_id("merge")
        merge = {"merge_id": merge_id, "reason": SEALED, "by": "desk-1", "now": self.now}
        self.attempt(lambda: done(deciding(self.asked(deal), told, merge)(self.peek())))
        into: Account = self.town.state(Accounts.at(told["account_id"]))
        if any(one.merge_id == merge_id for one in into.merges):
            self.merges.append((merge_id, told["account_id"]))
        assert held == self.held(), "a word on a finding took a hold away"

    # Who takes part

    @precondition(lambda self: self.deals)
    @rule(
        data=st.data(),
        joining=st.lists(
            st.tuples(st.sampled_from(PARTNERS), st.sampled_from(("distribute", "resell"))), min_size=1, max_size=3
        ),
        ahead=st.booleans(),
    )
    def take_part(self, data: st.DataObject, joining: list[tuple[str, str]], ahead: bool) -> None:
        """Partners are invited and accept, some before the deal is approved."""
        deal = self.draw(data, Status.IN_REVIEW, Status.APPROVED)
        for partner, role in joining if ahead else ():
            self.join(deal, partner, role)
        self.attempt(self.approving(deal, DESKS[0]))
        for partner, role in () if ahead else joining:
            self.join(deal, partner, role)

    def join(self, deal: RegistrationId, partner: str, role: str) -> None:
        named = {"invitation_id": invitation_id(deal, partner), "partner_id": PartnerId(partner), "by": "seller"}
        self.now += timedelta(seconds=1)
        for command, more in ((InviteParticipant, {"role": role}), (AcceptInvitation, {})):

            def make(_: Deal, fields: dict[str, Any], command: Any = command, more: Any = more) -> Any:
                return command(**fields, **named, **more)

            prepare = on_deal(self.asked(deal), make)
            self.attempt(lambda prepare=prepare: done(prepare(self.peek())))  # type: ignore[misc]

    @precondition(lambda self: self.deals)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        deal = data.draw(st.sampled_from([one for one in self.deals if self.deal(one).participants] or self.deals))
        self.out_of(deal)

    def out_of(self, deal: RegistrationId) -> None:
        for joined in self.deal(deal).participants[:1]:
            told: dict[str, Any] = {"invitation_id": joined.invitation_id, "reason_code": "left", "by": "seller"}
            self.attempt(
                lambda told=told: done(  # type: ignore[misc]
                    on_deal(self.asked(deal), lambda _, f: LeaveDeal(**f, **told))(self.peek())
                )
            )

    # Customers

    @precondition(lambda self: len(self.accounts()) > 1)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        survivor = data.draw(st.sampled_from(self.accounts()))
        absorbed = data.draw(st.sampled_from([one for one in self.accounts() if one != survivor]))
        told = {"merge_id": self.new_id("merge"), "reason": SEALED, "by": "desk-1", "now": self.now}
        self.join_customers(survivor, absorbed, told)

    def join_customers(self, survivor: AccountId, absorbed: AccountId, told: dict[str, Any]) -> None:
        held = self.held()
        if self.attempt(lambda: done(joining(survivor, absorbed, told)(self.peek()))):
            self.merges.append((told["merge_id"], survivor))
        assert held == self.held(), "a merge took a hold away"

    def held(self) -> set[tuple[str, str]]:
        """Who holds something, by itself or beside a deal."""
        live = [claim for account in self.accounts() for claim in self.line(account).live]
        return {(one.registration_id, one.partner_id) for one in live if one.state in (HELD, CONTESTED)}

    @precondition(lambda self: len(self.accounts()) > 1)
    @rule(data=st.data())
    def merge_by_mistake(self, data: st.DataObject) -> None:
        """A merge that is taken back at once leaves all as it was."""
        survivor = data.draw(st.sampled_from(self.accounts()))
        absorbed = data.draw(st.sampled_from([one for one in self.accounts() if one != survivor]))
        before = [(self.line(one), self.town.state(Accounts.at(one))) for one in (survivor, absorbed)]
        told = {"by": "desk-1", "now": self.now}
        merge_id = self.new_id("merge")
        both = {"merge_id": merge_id, "reason": SEALED, **told}
        if self.attempt(lambda: done(joining(survivor, absorbed, both)(self.peek()))):
            assert self.attempt(lambda: done(parting(survivor, merge_id, (), told)(self.peek())))
        after = [(self.line(one), self.town.state(Accounts.at(one))) for one in (survivor, absorbed)]
        assert before == after

    @precondition(lambda self: self.merges)
    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        merge_id, survivor = data.draw(st.sampled_from(self.merges))
        merge = next((m for m in self.town.state(Accounts.at(survivor)).merges if m.merge_id == merge_id), None)
        sides = [merge.survivor_id, merge.absorbed_id] if merge else [survivor]
        live = [claim.registration_id for claim in self.line(survivor).live]
        targets = tuple(
            Target(registration_id=one, account_id=data.draw(st.sampled_from(sides), label=one)) for one in live
        )
        self.split_again(merge_id, survivor, *targets)

    def split_again(self, merge_id: str, survivor: AccountId, *targets: Target) -> None:
        told = {"by": "desk-1", "now": self.now}
        self.attempt(lambda: done(parting(survivor, merge_id, targets, told)(self.peek())))

    # Disputes

    def disputes(self, *stages: Stage) -> list[str]:
        """Those over holds that collided, by their names."""
        names = [name for kind, name in self.town.events if kind == "dispute"]
        return [name for name in names if self.town.state(Disputes.at(name)).case.stage in stages]

    @precondition(lambda self: len(self.deals) < DEAL_MAX - 1)
    @rule(
        whose=st.permutations(PARTNERS),
        where=st.permutations(DOMAINS),
        roles=st.tuples(st.sampled_from(("resell", "distribute")), st.sampled_from(("resell", "distribute"))),
        outcome=st.sampled_from(OUTCOMES),
        meanwhile=st.sampled_from(("", "", "leave", "end", "withdraw", "split")),
    )
    def collide(self, whose: list[str], where: list[str], roles: tuple[str, str], outcome: str, meanwhile: str) -> None:
        """Two partners hold a customer each, with another one that takes part, and the two customers are one."""
        deals = [
            self.held_with(partner, beside, domain, role)
            for partner, beside, domain, role in zip(whose, whose[2:], where, roles, strict=False)
        ]
        accounts = [self.deal(name).accounts for name in deals]
        if accounts[0] == accounts[1]:
            return
        told = {"merge_id": self.new_id("merge"), "reason": SEALED, "by": "desk-1", "now": self.now}
        self.join_customers(accounts[0][0], accounts[1][0], told)
        for name in self.disputes(*OPEN):
            self.rule_on(name, outcome)
        self.meet(deals, meanwhile)

    def held_with(self, partner: str, beside: str, domain: str, role: str) -> RegistrationId:
        """A new deal that is approved where it can be, with another partner that takes part in it."""
        self.register(partner, domain, "100", role, "entity")
        self.attempt(self.approving(self.deals[-1], DESKS[0]))
        self.join(self.deals[-1], beside, "distribute")
        return self.deals[-1]

    def meet(self, deals: list[RegistrationId], meanwhile: str) -> None:
        """What happens before the time to appeal is over."""
        if meanwhile == "leave":
            self.out_of(deals[0])
        elif meanwhile == "split":
            self.split_again(*self.merges[-1])
        elif meanwhile:
            self.attempt(self.acting(deals[0], meanwhile, DESKS[0]))

    @precondition(lambda self: self.disputes(*OPEN))
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES))
    def decide_dispute(self, data: st.DataObject, outcome: str) -> None:
        self.rule_on(data.draw(st.sampled_from(self.disputes(*OPEN))), outcome)

    def rule_on(self, name: str, outcome: str) -> None:
        told = {"outcome": outcome, "reason": SEALED, "percent": Decimal("40.00"), "by": "arbiter-1"}
        prepare = on_dispute(self.asked(name), lambda fields: DecideDispute(**fields, **told))
        self.attempt(lambda: done(prepare(self.peek())))

    @precondition(lambda self: self.disputes(Stage.DECIDED))
    @rule()
    def conclude_disputes(self) -> None:
        """The time to appeal is over."""
        self.now += timedelta(days=APPEAL_DAYS)
        self.prepared = None
        for name in self.disputes(Stage.DECIDED):
            assert self.attempt(lambda name=name: done(concluding(self.asked(name), self.new_id("look"))(self.peek())))  # type: ignore[misc]
            assert self.town.state(Disputes.at(name)).case.stage == Stage.FINAL

    # Races

    @precondition(lambda self: self.deals)
    @rule(data=st.data(), desk=st.sampled_from(DESKS))
    def prepare(self, data: st.DataObject, desk: str) -> None:
        """Somebody's approval is under way while others come in between."""
        self.prepared = self.ready(self.draw(data, Status.IN_REVIEW), desk)

    @precondition(lambda self: self.prepared is not None)
    @rule()
    def arrive(self) -> None:
        wish, self.prepared = self.prepared, None
        self.arrived(wish)

    def ready(self, deal: RegistrationId, desk: str) -> ApproveDeal | None:
        """The approval as it is prepared now."""
        try:
            return self.approving(deal, desk)()
        except Problem:
            return None

    def arrived(self, wish: ApproveDeal | None) -> None:
        """It is decided, or has come too late for what it was prepared on."""
        told = self.attempt(lambda: wish) if wish else []
        self.reached[f"arrived, {'decided' if told else 'refused'}"] += 1

    # What always holds

    @invariant()
    def no_two_exclusive_holds_overlap(self) -> None:
        for account in self.accounts():
            held = [one for one in self.line(account).live if one.state == HELD and one.holds(self.now)]
            for one, other in combinations(held, 2):
                together = one.partner_id == other.partner_id or one.deal == other.deal
                apart = together or not overlap(one.reach, other.reach).complete
                assert apart, f"{one.registration_id} and {other.registration_id} both hold {account}"

    @invariant()
    def each_line_stands_in_the_order_in_which_it_was_asked(self) -> None:
        for account in self.accounts():
            in_line = self.line(account).deals
            assert list(in_line) == [name for name in self.orders[account] if name in in_line]

    @invariant()
    def deals_and_claims_agree(self) -> None:
        for name in self.deals:
            deal = self.deal(name)
            expected = CLAIMED.get(deal.status, (None,))
            for account in deal.accounts:
                claim = self.line(account).of(name)
                state = claim.state if claim else None
                assert state in expected, f"{name} is {deal.status}, its claim on {account} {state}"

    @invariant()
    def who_takes_part_holds_with_its_deal_and_nobody_else_does(self) -> None:
        for account in self.accounts():
            live = self.line(account).live
            beside = {(one.deal_id, one.registration_id): one.protection for one in live if one.deal_id}
            held = [name for name in self.deals if self.deal(name).status == Status.APPROVED]
            on_it = [name for name in held if account in self.deal(name).accounts]
            expected = {(name, j.invitation_id) for name in on_it for j in self.deal(name).participants}
            assert set(beside) == expected
            ends = {one.registration_id: one.protection.end for one in live if one.protection}
            assert all(span and span.end == ends[deal] for (deal, _), span in beside.items())

    @invariant()
    def nothing_leads_to_a_customer_that_goes_on_as_another(self) -> None:
        gone = {one for one in self.accounts() if self.town.state(Accounts.at(one)).merged_into}
        keys = [Key(scheme="domain", value=domain) for domain in DOMAINS]
        led = {one for key in keys for one in self.town.state(AccountKeys.at(key.identity)).accounts}
        live = {
            account for name in self.deals if self.deal(name).status in CLAIMED for account in self.deal(name).accounts
        }
        assert gone.isdisjoint(led | live)
        assert all(self.line(one).live == () for one in gone)


AnyOrder.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


class TestDoneWhen4RandomCommandsReachOnlyPublishedStates(AnyOrder.TestCase):  # type: ignore[misc,valid-type]
    def runTest(self) -> None:  # noqa: N802  unittest's name
        super().runTest()
        assert not [what for what in REACHED if not AnyOrder.reached[what]]
