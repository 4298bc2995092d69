"""Accounts by name, in memory, filled from the own feed: an index of rare pieces of four letters.

It may lag behind the log by what is being written this moment. That breaks nothing: keys and claims come from streams.
"""

import asyncio
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from sys import intern
from time import monotonic
from typing import TypeVar

from chassis.decider import Busy
from chassis.event import TYPES, Sealed
from chassis.store.port import EventStore
from contracts.values import AccountId
from services.registration.adapters.customers import checkable
from services.registration.adapters.names import alike, grams, likeness
from services.registration.application.ports import Near
from services.registration.domain.account import (
    LINKS,
    RELATED,
    AccountEvent,
    AccountLinked,
    AccountOpened,
    AccountsMerged,
    AccountsSplit,
    KeptApart,
    NameAdded,
    ParentCut,
    ParentLinked,
)
from services.registration.domain.customer import Customer
from services.registration.domain.matching import Candidate, IndexSeen
from services.registration.domain.rules import PERCENTS

POSTINGS_MAX = 10_000
"""How many places of pieces one search reads, the rarest pieces first. It trades names found for time.

`benchmarks/lookup.py`, against 40,000 places: the same recall among 50,000 names and among 15,000 real ones, in less than
half the time for the slowest of a hundred.
"""
SCORED_MAX = 200
RAREST_PIECES, RAREST_MAX = 3, 40
"""Of so many rarest pieces, each account is scored, where a piece has no more of them."""
KEPT_MAX = 10
LEAST_PERCENT = 70
"""The lowest threshold that rules may set."""
FEED_EVENTS = 1_000
METHOD = 3
"""Another number once the same log would name other accounts.

Under 1 numbers that nobody can check named none; under both, chance told which of equally rare pieces were read.
"""
UNCHECKED_NUMBER = "unchecked_number"
NOWHERE = None, None
"""The address of all who gave none."""
LOOK_SECONDS = 0.05
"""How often the log is asked for what other processes recorded; this process's own commits are known at once."""
K = TypeVar("K")
V = TypeVar("V")
READ = frozenset(
    name
    for name, cls in TYPES.classes.items()
    if cls
    in (AccountOpened, NameAdded, AccountLinked, KeptApart, AccountsMerged, AccountsSplit, ParentLinked, ParentCut)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """An account as the index knows it."""

    account_id: AccountId
    name: str
    country: str
    address: tuple[str | None, str | None]
    names: tuple[str, ...]
    unchecked: tuple[str, ...] = ()
    """Its numbers that nobody can check, which say that two may be one."""
    phones: str = ""
    """Of who is named there, sealed: they are opened when they are compared, so that what is forgotten tells nothing.

    As one text, which takes half the room of its parts: a million customers have a gigabyte.
    """


def _nothing(_: Sealed) -> None:
    """What opens nothing."""


@dataclass
class TenantIndex:
    """The accounts of one tenant. `opens` reads a sealed text, where it is not forgotten."""

    opens: Callable[[Sealed], str | None] = _nothing
    known: dict[AccountId, Known] = field(default_factory=dict)
    numbers: dict[AccountId, int] = field(default_factory=dict)
    """Each account by the number under which the postings name it: a search reads thousands of them."""
    ids: list[AccountId] = field(default_factory=list)
    postings: defaultdict[str, "array[int]"] = field(default_factory=lambda: defaultdict(partial(array, "I")))
    unchecked: dict[str, dict[AccountId, None]] = field(default_factory=dict)
    """Who was opened with a number that nobody can check; `known` says whether that still counts."""
    links: dict[AccountId, dict[AccountId, str]] = field(default_factory=dict)
    edges: dict[AccountId, set[AccountId]] = field(default_factory=dict)
    """Each account with its parent and its children."""
    apart: set[frozenset[AccountId]] = field(default_factory=set)
    merged: dict[AccountId, AccountId] = field(default_factory=dict)
    """Accounts that go on as another one."""
    absorbed: dict[AccountId, list[AccountId]] = field(default_factory=dict)

    def take(self, happened: AccountEvent) -> None:
        """Learns from one event."""
        match happened:
            case AccountOpened(account_id=account_id, customer=customer):
                self._name(_known(account_id, customer), customer.normal_names)
                for number in self.known[account_id].unchecked:
                    self.unchecked.setdefault(number, {})[account_id] = None
            case NameAdded(account_id=account_id, normal_names=names):
                known = self.known[account_id]
                self._name(replace(known, names=(*known.names, *names)), names)
            case AccountsMerged(survivor_id=one, absorbed_id=other):
                self.merged[other] = one
                self.absorbed.setdefault(one, []).append(other)
            case AccountsSplit(survivor_id=one, absorbed_id=other):
                del self.merged[other]
                self.absorbed[one].remove(other)
            case _:
                self._relate(happened)

    def _relate(self, happened: AccountEvent) -> None:
        match happened:
            case AccountLinked(account_id=one, other_id=other, link=link):
                self.links.setdefault(one, {})[other] = link
                self.links.setdefault(other, {})[one] = link
            case ParentLinked(account_id=one, parent_id=other):
                self.edges.setdefault(one, set()).add(other)
                self.edges.setdefault(other, set()).add(one)
            case ParentCut(account_id=one, parent_id=other):
                self.edges[one].discard(other)
                self.edges[other].discard(one)
            case KeptApart(account_id=one, other_id=other):
                self.apart.add(frozenset((one, other)))
            case _:
                pass

    def _name(self, account: Known, names: Iterable[str]) -> None:
        """Keeps an account as it is known now, and its new names in the postings."""
        self.known[account.account_id] = account
        number = self.numbers.setdefault(account.account_id, len(self.ids))
        if number == len(self.ids):
            self.ids.append(account.account_id)
        for gram in frozenset().union(*map(grams, names)):
            self.postings[gram].append(number)

    def undoing(self, happened: AccountEvent) -> Callable[[], None]:
        """What takes an event back that comes next, once all that came behind it is taken back."""
        match happened:
            case AccountOpened(account_id=account_id, customer=customer):
                return partial(self._unname, account_id, customer.normal_names, None)
            case NameAdded(account_id=account_id, normal_names=names):
                return partial(self._unname, account_id, names, self.known[account_id])
            case AccountsMerged(survivor_id=one, absorbed_id=other):
                return partial(self._unmerge, one, other)
            case AccountsSplit(survivor_id=one, absorbed_id=other):
                return partial(self._merge_again, one, other, self.absorbed[one].index(other))
            case _:
                return self._unrelating(happened)

    def _unname(self, account_id: AccountId, names: Iterable[str], before: Known | None) -> None:
        for gram in frozenset().union(*(grams(name) for name in names)):
            self.postings[gram].pop()
            if not self.postings[gram]:
                del self.postings[gram]
        if before is not None:
            self.known[account_id] = before
            return
        for number in self.known[account_id].unchecked:
            del self.unchecked[number][account_id]
            if not self.unchecked[number]:
                del self.unchecked[number]
        del self.known[account_id], self.numbers[account_id]
        self.ids.pop()

    def _unmerge(self, one: AccountId, other: AccountId) -> None:
        del self.merged[other]
        self.absorbed[one].pop()

    def _merge_again(self, one: AccountId, other: AccountId, place: int) -> None:
        self.merged[other] = one
        self.absorbed[one].insert(place, other)

    def _unrelating(self, happened: AccountEvent) -> Callable[[], None]:
        match happened:
            case AccountLinked(account_id=one, other_id=other):
                before = {a: dict(self.links[a]) for a in (one, other) if a in self.links}
                return partial(_put_back, self.links, (one, other), before)
            case ParentLinked(account_id=one, parent_id=other) | ParentCut(account_id=one, parent_id=other):
                edges = {a: set(self.edges[a]) for a in (one, other) if a in self.edges}
                return partial(_put_back, self.edges, (one, other), edges)
            case KeptApart(account_id=one, other_id=other) if (pair := frozenset((one, other))) not in self.apart:
                return partial(self.apart.discard, pair)
            case _:
                return lambda: None

    def near(self, customer: Customer, accounts: frozenset[AccountId]) -> tuple[Candidate, ...]:
        """Linked accounts first, then those whose names are most alike."""
        known = self._links(accounts) if self.links or self.edges else ()
        linked = dict.fromkeys(self._of_one_number(customer), UNCHECKED_NUMBER)
        linked |= {self._now(other): link for other, link in known}
        others = (account for account in self._alike(customer) if account not in linked)
        counted = [account for account in linked if self._counts(account, accounts)]
        best = islice((account for account in others if self._counts(account, accounts)), KEPT_MAX)
        found = [self._candidate(customer, account, linked.get(account)) for account in (*counted, *best)]
        kept = sorted(found, key=_most_alike)[:KEPT_MAX]
        return self._reached(customer, kept) if customer.phones else tuple(kept)

    def _counts(self, account: AccountId, accounts: frozenset[AccountId]) -> bool:
        return account not in accounts and not any(frozenset((account, own)) in self.apart for own in accounts)

    def _alike(self, customer: Customer) -> list[AccountId]:
        """Those that are alike enough, the most alike first, each as the account as which it goes on."""
        pieces = frozenset().union(*(grams(name) for name in customer.normal_names))
        best = [self.ids[number] for number in _worth_scoring(list(self._hits(pieces)))]
        names = {(account, name): name for account in best for name in self.known[account].names}
        scores: dict[AccountId, int] = {}
        for (account, _), both in alike(customer.normal_names, names, LEAST_PERCENT).items():
            now = self._now(account)
            scores[now] = max(both, scores.get(now, 0))
        return sorted(scores, key=lambda one: (self.known[one].country != customer.country, -scores[one], one))

    def _links(self, accounts: Iterable[AccountId]) -> Iterator[tuple[AccountId, str]]:
        """What the accounts, and those that they absorbed, are linked to."""
        for account in accounts:
            for one in (account, *self._within(account)):
                yield from self.links.get(one, {}).items()
                yield from ((other, LINKS[RELATED]) for other in sorted(self.edges.get(one, ())))

    def _of_one_number(self, customer: Customer) -> Iterator[AccountId]:
        """Those that gave a number of the customer that nobody can check."""
        for number in _unchecked(customer):
            for account in self.unchecked.get(number, ()):
                if account in self.known and number in self.known[account].unchecked:
                    yield self._now(account)

    def _now(self, account: AccountId) -> AccountId:
        """The account as which it goes on."""
        while account in self.merged:
            account = self.merged[account]
        return account

    def _within(self, account: AccountId) -> Iterator[AccountId]:
        for one in self.absorbed.get(account, ()):
            yield one
            yield from self._within(one)

    def _names(self, account: AccountId) -> tuple[str, ...]:
        """Its names, and those of the accounts that it absorbed."""
        absorbed = (name for one in self._within(account) for name in self.known[one].names)
        return (*self.known[account].names, *absorbed)

    def _hits(self, pieces: Iterable[str]) -> Iterator["array[int]"]:
        read = 0
        # Of equally many places the first piece by its letters: a set of them has another order in each process.
        for found in sorted((self.postings[piece] for piece in sorted(pieces) if piece in self.postings), key=len):
            read += len(found)
            if read > POSTINGS_MAX:
                return
            yield found

    def _opened(self, sealed: Iterable[Sealed]) -> frozenset[str]:
        return frozenset(text for one in sealed if (text := self.opens(one)))

    def _reached(self, customer: Customer, found: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """The candidates with what telephone numbers tell, which are opened only where one could decide the class."""
        asked = [one for one in found if _hangs_on_a_number(one) and self.known[one.account_id].phones]
        mine = self._opened(customer.phones or ()) if asked else frozenset()
        met = {one.account_id for one in asked if self._meets(mine, one)}
        return tuple(replace(one, same_phone=True) if one.account_id in met else one for one in found)

    def _meets(self, mine: frozenset[str], found: Candidate) -> bool:
        return bool(mine) and not mine.isdisjoint(self._opened(_unpacked(self.known[found.account_id].phones)))

    def _candidate(self, customer: Customer, account_id: AccountId, link: str | None) -> Candidate:
        known = self.known[account_id]
        score = likeness(customer.normal_names, self._names(account_id))
        return Candidate(
            account_id=account_id,
            name=known.name,
            country=known.country,
            same_country=known.country == customer.country,
            token_set_percent=score.token_set_percent,
            token_sort_percent=score.token_sort_percent,
            same_address=_same(known.address, _address(customer)),
            link=link,
        )


def _hangs_on_a_number(found: Candidate) -> bool:
    """Whether a telephone number could make it probable under some rules, and nothing else does."""
    decided = found.link is not None or found.same_address or not found.same_country
    return not decided and found.token_sort_percent >= PERCENTS["probable_percent"][0]


def _worth_scoring(hits: Sequence[Sequence[int]]) -> list[int]:
    """The accounts that share the rarest pieces, in which a short name may be all there is, and the most pieces."""
    rarest = (account for accounts in hits[:RAREST_PIECES] if len(accounts) <= RAREST_MAX for account in accounts)
    return list(dict.fromkeys((*rarest, *_most_frequent(hits))))


def _most_frequent(hits: Iterable[Iterable[int]]) -> list[int]:
    """The `SCORED_MAX` most frequent, as `Counter.most_common` has them, without comparing all that are met once."""
    counts: Counter[int] = Counter()
    for accounts in hits:
        counts.update(accounts)
    least = _least_of_the_most(Counter(counts.values()))
    often = [account for account, times in counts.items() if times >= least]
    return sorted(often, key=counts.__getitem__, reverse=True)[:SCORED_MAX]


def _least_of_the_most(frequencies: Counter[int]) -> int:
    """How often the last of the `SCORED_MAX` most frequent is met, by how many are met how often."""
    reached = 0
    for times in sorted(frequencies, reverse=True):
        reached += frequencies[times]
        if reached >= SCORED_MAX:
            return times
    return 0


def _known(account_id: AccountId, customer: Customer) -> Known:
    return Known(
        account_id=account_id,
        name=customer.name,
        country=intern(customer.country),
        address=_address(customer),
        names=customer.normal_names,
        unchecked=_unchecked(customer),
        phones=_packed(customer.phones or ()),
    )


def _packed(sealed: Iterable[Sealed]) -> str:
    return "\n".join(f"{one.box} {one.subject}" for one in sealed)


def _unpacked(text: str) -> Iterator[Sealed]:
    """What was packed: a box has no blank in it, and a subject is no more than a line."""
    for line in text.splitlines():
        box, _, subject = line.partition(" ")
        yield Sealed(subject=subject, box=box)


def _unchecked(customer: Customer) -> tuple[str, ...]:
    """Its numbers that nobody can check, also where an earlier release took such a one for a key."""
    found = (one for one in customer.identifiers if not one.valid or not checkable(one.scheme, one.country))
    return tuple(f"{one.scheme}:{one.key_value}" for one in found)


def _put_back(all_of_them: dict[K, V], keys: Iterable[K], before: Mapping[K, V]) -> None:
    for key in keys:
        all_of_them.pop(key, None)
    all_of_them.update(before)


def _address(customer: Customer) -> tuple[str | None, str | None]:
    given = _plain(customer.postcode), _plain(customer.street)
    return NOWHERE if given == NOWHERE else given


def _plain(text: str | None) -> str | None:
    return "".join(letter for letter in text.casefold() if letter.isalnum()) if text else None


def _same(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> bool:
    """Whether postcode or street are given on both sides and equal."""
    return any(a is not None and a == b for a, b in zip(one, other, strict=True))


def _most_alike(candidate: Candidate) -> tuple[bool, bool, int, str]:
    """Links first, then the same country, where a likeness counts for more; then both scores together."""
    both = candidate.token_set_percent + candidate.token_sort_percent
    return candidate.link is None, not candidate.same_country, -both, candidate.account_id


class FeedIndex:
    """The account index of all tenants, kept up with the service's own feed whenever it is asked.

    `opens` reads a tenant's sealed text, None where it is forgotten.
    """

    def __init__(
        self,
        store: EventStore,
        at_once: int = 4,
        waiting_max: int = 256,
        opens: Callable[[str, Sealed], str | None] = lambda tenant, sealed: None,
    ) -> None:
        self._store = store
        self._opens = opens
        self._turns = asyncio.Semaphore(at_once)
        self._waiting_max = waiting_max
        self._asking = 0
        self._position = 0
        self._tenants: dict[str, TenantIndex] = {}
        self._reading = asyncio.Lock()
        self._look_again_at = 0.0

    async def near(self, tenant: str, customer: Customer, accounts: Iterable[AccountId]) -> Near:
        if self._asking >= self._waiting_max:
            raise Busy("too many look for similar customers now")
        self._asking += 1
        try:
            async with self._turns:
                return await self._near(tenant, customer, accounts)
        finally:
            self._asking -= 1

    async def _near(self, tenant: str, customer: Customer, accounts: Iterable[AccountId]) -> Near:
        if self._store.known > self._position or monotonic() >= self._look_again_at:
            await self.catch_up()
        found = self._of(tenant).near(customer, frozenset(accounts))
        return Near(candidates=found, index=IndexSeen(version=METHOD, position=self._position))

    async def catch_up(self) -> None:
        """Reads what was recorded since the last time."""
        async with self._reading:
            while await self._batch():
                pass
            self._look_again_at = monotonic() + LOOK_SECONDS

    async def _batch(self) -> bool:
        recorded = await self._store.feed(self._position, FEED_EVENTS)
        for fact in recorded:
            if fact.type in READ:
                self._of(fact.tenant).take(fact.event)
            self._position = fact.position
        return len(recorded) == FEED_EVENTS

    def _of(self, tenant: str) -> TenantIndex:
        if tenant not in self._tenants:
            self._tenants[tenant] = TenantIndex(partial(self._opens, tenant))
        return self._tenants[tenant]
