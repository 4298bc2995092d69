"""Clients that drive the whole chain over HTTP, repeat what was not answered under the same key, and keep the answers."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp

from services import first_run

T = TypeVar("T")
ANSWER_SECONDS = 15.0
GIVE_UP_SECONDS = 600.0
"""Longer than any fault with all that comes after it, on a machine that has other work: what counts is what comes of it."""
AGAIN_SECONDS, AGAIN_SECONDS_MAX = 0.05, 1.0
"""How long a client waits before it sends something again: at first, and twice as long each time, up to the second."""
BEGUN_A_SECOND, IN_HAND_MAX = 12.0, 24
LOOK_SECONDS = 0.2
STREAM_LEAST = 100
"""Deals of a stream, each of one to three commands."""
REFUNDED_EACH = 3
BEGINNING = "2031-03-03T09:00:00Z"
DEALS = "/v1/registration/deals"
SYLLABLES = 10
"""So many that no two customers are alike, of thousands."""
LETTERS = "bcdfghjklmnprstvwz"


class NotKnownYet(Exception):
    """The gateway has not heard of this person."""


class GaveUp(AssertionError):
    """A command was not answered although the system was there again."""


@dataclass(frozen=True)
class Acknowledged:
    """A command with its answer, as its client has it. `who` is a name at the first tenant, or `tenant/name`."""

    who: str
    subject: str
    path: str
    body: Any
    key: str
    status: int
    answer: Any


@dataclass(frozen=True)
class Season:
    """When deals are to close, and when the CRM says that they were won."""

    close_on: str = "2031-04-20"
    won_at: str = "2031-03-20T12:00:00Z"


@dataclass
class Sale:
    """What its client knows of one deal."""

    registration_id: str
    tenant: str = first_run.TENANT
    approved: bool = False
    withdrawn: bool = False
    won: bool = False
    refunded: bool = False


class Target(Protocol):
    """A system that clients reach: its gateway, its simulated CRM, where its files are, what it said last."""

    @property
    def data(self) -> Path: ...

    @property
    def address(self) -> str: ...

    @property
    def crm(self) -> str: ...

    def last_words(self) -> str: ...


@dataclass
class Load:
    """Clients of one system. `lanes` deals are in hand at once; every third deal is refunded."""

    child: Target
    chance: random.Random
    http: aiohttp.ClientSession
    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    sales: list[Sale] = field(default_factory=list)
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    applied: list[str] = field(default_factory=list)
    """Partners that were entered, by id."""
    others: Sequence[str] = ()
    """Partners of other tenants whose deals are part of a stream: `tenant/name`."""
    season: Season = Season()
    repeats: int = 0
    """How often no answer came."""
    busy: int = 0
    """How often the answer was to come again."""
    name: str = ""
    """What keys begin with: each run of the same clients has its own."""

    def begin_again(self, name: str) -> None:
        """Readies the clients for another `run` and `stream`."""
        self.name, self.stopping = name, asyncio.Event()

    # Calls

    async def post(self, who: str, path: str, body: Any, key: str) -> Acknowledged:
        """Posts until there is an answer that stands; what was cut off or busy is sent again under the same key.

        `who` is a name at the first tenant, or `tenant/name`.
        """
        token, subject = await self.sign_in(who)
        headers = {"authorization": f"Bearer {token}", "idempotency-key": key}
        status, answer = await self._until_answered("POST", self.child.address, path, body, headers)
        done = Acknowledged(who, subject, path, body, key, status, answer)
        self.acknowledged[f"{who} {key}"] = done
        return done

    async def look(self, who: str, path: str) -> Any:
        """What is there, or {} while there is nothing yet."""
        token, _ = await self.sign_in(who)
        headers = {"authorization": f"Bearer {token}"}
        status, answer = await self._until_answered("GET", self.child.address, path, None, headers)
        assert status in (200, 404), answer
        return answer if status == 200 else {}

    async def sign_in(self, who: str) -> tuple[str, str]:
        """Token and subject; who was just added is waited for, as the gateway may not have heard of it yet."""
        if who not in self.tokens:
            self.tokens[who] = await however_late(lambda: self._token(who), NotKnownYet)
        return self.tokens[who]

    async def _token(self, who: str) -> tuple[str, str]:
        tenant, name = at(who)
        body = {"tenant": tenant, "as": name}
        status, answer = await self._until_answered("POST", self.child.address, "/dev/token", body, {})
        if answer.get("slug") == "unknown-person":
            raise NotKnownYet(who)
        assert status == 200, answer
        return answer["token"], answer["subject"]

    async def set_clock(self, to: str) -> None:
        """Sets the clock forward, so that every run meets the same calendar; all sign in after it."""
        async with self.http.post(f"{self.child.address}/dev/clock", json={"to": to}) as answer:
            assert answer.status == 200, await answer.text()
        self.tokens.clear()

    async def crm(self, path: str, body: Any = None) -> Any:
        """Asks the simulated CRM; posts are such that twice is the same as once."""
        method = "GET" if body is None else "POST"
        status, answer = await self._until_answered(method, self.child.crm, path, body, {})
        assert status == 200, answer
        return answer

    async def _until_answered(
        self, method: str, base: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, Any]:
        gives_up_at, pause = asyncio.get_running_loop().time() + GIVE_UP_SECONDS, AGAIN_SECONDS
        while asyncio.get_running_loop().time() < gives_up_at:
            try:
                async with self.http.request(method, base + path, json=body, headers=headers) as response:
                    answer = await response.json(content_type=None)
                if "Retry-After" not in response.headers:
                    assert response.status < 500, (path, answer)
                    return response.status, answer
                self.busy += 1
            except (aiohttp.ClientError, TimeoutError, OSError):
                self.repeats += 1
            await asyncio.sleep(pause)
            pause = min(2 * pause, AGAIN_SECONDS_MAX)
        raise GaveUp(f"{method} {path}: {self.child.last_words()}")

    # The chain

    async def run(self, lanes: int) -> None:
        """Deals in so many lanes until `stopping`, three a lane at least; what is begun is brought to its end."""
        async with asyncio.TaskGroup() as group:
            for lane in range(lanes):
                group.create_task(self._lane(lane))

    async def _lane(self, lane: int) -> None:
        number = 0
        while not self.stopping.is_set() or number < REFUNDED_EACH:
            number += 1
            await self.deal(f"{self.name}{lane}-{number}", refunded=number % REFUNDED_EACH == 0)

    async def deal(self, name: str, *, refunded: bool, who: str = "") -> Sale:
        """One deal from its registration to its payout, and to the reversal of a part."""
        sale = await self.register(who or self.chance.choice(("northwind", "southbridge")), f"deal-{name}")
        await self._approve(sale, "dora", name)
        if sale.approved:
            await self._sell(sale, refunded=refunded)
        return sale

    async def stream(self) -> None:
        """Begins deals at a steady pace until `stopping`, so many at least; never more in hand than so many."""
        room = asyncio.Semaphore(IN_HAND_MAX)
        number = 0
        async with asyncio.TaskGroup() as group:
            while not self.stopping.is_set() or number < STREAM_LEAST:
                await room.acquire()
                group.create_task(self._one_of_stream(number)).add_done_callback(lambda _: room.release())
                number += 1
                await asyncio.sleep(1 / BEGUN_A_SECOND)

    async def _one_of_stream(self, number: int) -> None:
        """By turns: a deal that is approved, one that is taken back, one of another tenant, and a new partner."""
        name, who = f"{self.name}s-{number}", ("northwind", "southbridge")[number % 8 // 4]
        if number % 4 == 0:
            await self._approve(await self.register(who, f"deal-{name}"), "dora", name)
        elif number % 4 == 1:
            await self._take_back(await self.register(who, f"deal-{name}"), who, name)
        elif number % 4 == 2:
            other = self.others[number % len(self.others)] if self.others else who
            await self._approve(await self.register(other, f"deal-{name}"), f"{at(other)[0]}/dora", name)
        else:
            await self._enter_partner(name)

    async def _approve(self, sale: Sale, desk: str, name: str) -> None:
        approved = await self.post(desk, f"{DEALS}/{sale.registration_id}/approve", None, f"approve-{name}")
        sale.approved = approved.status == 200

    async def _take_back(self, sale: Sale, who: str, name: str) -> None:
        """Nobody approves what was taken back: the desk is refused, for good."""
        path = f"{DEALS}/{sale.registration_id}"
        withdrawn = await self.post(who, f"{path}/withdraw", {}, f"withdraw-{name}")
        assert withdrawn.status == 200, withdrawn
        sale.withdrawn = True
        refused = await self.post("dora", f"{path}/approve", None, f"approve-{name}")
        assert refused.status == 409, refused

    async def _enter_partner(self, name: str) -> None:
        profile = {
            "legal_name": f"Partner {name}",
            "country": "DE",
            "domains": [f"p-{name}.example"],
            "types": ["reseller"],
        }
        entered = await self.post("ada", "/v1/onboarding/partners", profile, f"partner-{name}")
        assert entered.status == 201, entered
        self.applied.append(entered.answer["partner_id"])

    async def register(self, who: str, key: str) -> Sale:
        """A registration alone."""
        made = await self.post(who, DEALS, self.wish(), key)
        assert made.status == 201, made
        sale = Sale(made.answer["registration_id"], at(who)[0])
        self.sales.append(sale)
        return sale

    def wish(self) -> dict[str, Any]:
        """A deal with a customer of its own, and a person there, whose key is made with it."""
        name = "".join(self.chance.choice(LETTERS) + self.chance.choice("aeiou") for _ in range(SYLLABLES))
        return {
            "customer": {"name": name.title(), "country": "DE", "website": f"www.{name}.com"},
            "contacts": [{"name": f"Kit {name.title()}", "email": f"kit@{name}.com"}],
            "products": [{"family": "platform", "quantity": 1}],
            "amount": {"amount": "15000.00", "currency": "EUR"},
            "close_on": self.season.close_on,
        }

    async def _sell(self, sale: Sale, *, refunded: bool) -> None:
        identity = await self._in_crm(sale.registration_id)
        won = {"dealstage": "closedwon", "closedate": self.season.won_at}
        await self.crm(f"/sim/deals/{identity}/edit", won)
        sale.won = True
        if refunded:
            await self._earned(sale)
            await self.crm(f"/sim/deals/{identity}/edit", {"entente_refunded_amount": "5000.00"})
            sale.refunded = True

    async def _in_crm(self, registration_id: str) -> str:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while not (found := (await self.crm(f"/sim/deals?registration_id={registration_id}"))["results"]):
                await asyncio.sleep(LOOK_SECONDS)
        return str(found[0]["id"])

    async def _earned(self, sale: Sale) -> None:
        """A customer gets money back for what it has bought: the win comes first."""
        await self.until("ada", f"/v1/deals/{sale.registration_id}", "stage", "won")

    async def until(self, who: str, path: str, name: str, value: str) -> None:
        """Looks until that is so."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while (await self.look(who, path)).get(name) != value:
                await asyncio.sleep(LOOK_SECONDS)


def at(who: str) -> tuple[str, str]:
    """Tenant and name."""
    tenant, _, name = who.rpartition("/")
    return tenant or first_run.TENANT, name


async def however_late(work: Callable[[], Awaitable[T]], *too_early: type[Exception]) -> T:
    """What is done again while it was too early for it. Raises what it then still meets."""
    end = asyncio.get_running_loop().time() + GIVE_UP_SECONDS
    while True:
        try:
            return await work()
        except too_early:
            if asyncio.get_running_loop().time() > end:
                raise
            await asyncio.sleep(AGAIN_SECONDS)


@asynccontextmanager
async def clients(child: Target, seed: int) -> AsyncIterator[Load]:
    """Clients of a system, which need not run yet."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield Load(child, random.Random(seed), http)
