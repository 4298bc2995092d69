"""Clients that drive the whole chain over HTTP, repeat what was not answered under the same key, and keep the answers."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp

ANSWER_SECONDS = 15.0
GIVE_UP_SECONDS = 300.0
"""Longer than any fault with all that comes after it, on a machine that has other work: what counts is what comes of it."""
AGAIN_SECONDS = 0.05
REFUNDED_EACH = 3
BEGINNING = "2031-03-03T09:00:00Z"
CLOSE_ON = "2031-04-20"
DEALS = "/v1/registration/deals"
LETTERS = "bcdfghjklmnprstvwz"


class GaveUp(AssertionError):
    """A command was not answered although the system was there again."""


@dataclass(frozen=True)
class Acknowledged:
    """A command with its answer, as its client has it."""

    who: str
    subject: str
    path: str
    body: Any
    key: str
    status: int
    answer: Any


@dataclass
class Sale:
    """What its client knows of one deal."""

    registration_id: str
    approved: bool = False
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
    repeats: int = 0
    name: str = ""
    """What keys begin with: each run of the same clients has its own."""

    def begin_again(self, name: str) -> int:
        """Readies the clients for another `run`; how often they have sent something again so far."""
        self.name, self.stopping = name, asyncio.Event()
        return self.repeats

    # Calls

    async def post(self, who: str, path: str, body: Any, key: str) -> Acknowledged:
        """Posts until there is an answer that stands; what was cut off or busy is sent again under the same key."""
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
        if who not in self.tokens:
            body = {"tenant": "acme", "as": who}
            status, answer = await self._until_answered("POST", self.child.address, "/dev/token", body, {})
            assert status == 200, answer
            self.tokens[who] = answer["token"], answer["subject"]
        return self.tokens[who]

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
        gives_up_at = asyncio.get_running_loop().time() + GIVE_UP_SECONDS
        while asyncio.get_running_loop().time() < gives_up_at:
            try:
                async with self.http.request(method, base + path, json=body, headers=headers) as response:
                    answer = await response.json(content_type=None)
                if "Retry-After" not in response.headers:
                    assert response.status < 500, (path, answer)
                    return response.status, answer
            except (aiohttp.ClientError, TimeoutError, OSError):
                self.repeats += 1
            await asyncio.sleep(AGAIN_SECONDS)
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

    async def deal(self, name: str, *, refunded: bool) -> Sale:
        """One deal from its registration to its payout, and to the reversal of a part."""
        sale = await self.register(self.chance.choice(("northwind", "southbridge")), f"deal-{name}")
        approved = await self.post("dora", f"{DEALS}/{sale.registration_id}/approve", None, f"approve-{name}")
        sale.approved = approved.status == 200
        if sale.approved:
            await self._sell(sale, refunded=refunded)
        return sale

    async def register(self, who: str, key: str) -> Sale:
        """A registration alone."""
        made = await self.post(who, DEALS, self.wish(), key)
        assert made.status == 201, made
        sale = Sale(made.answer["registration_id"])
        self.sales.append(sale)
        return sale

    def wish(self) -> dict[str, Any]:
        name = "".join(self.chance.choice(LETTERS) + self.chance.choice("aeiou") for _ in range(6))
        return {
            "customer": {"name": name.title(), "country": "DE", "website": f"www.{name}.com"},
            "products": [{"family": "platform", "quantity": 1}],
            "amount": {"amount": "15000.00", "currency": "EUR"},
            "close_on": CLOSE_ON,
        }

    async def _sell(self, sale: Sale, *, refunded: bool) -> None:
        identity = await self._in_crm(sale.registration_id)
        await self.crm(f"/sim/deals/{identity}/edit", {"dealstage": "closedwon", "closedate": "2031-03-20T12:00:00Z"})
        sale.won = True
        if refunded:
            await self._earned(sale)
            await self.crm(f"/sim/deals/{identity}/edit", {"entente_refunded_amount": "5000.00"})
            sale.refunded = True

    async def _in_crm(self, registration_id: str) -> str:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while True:
                for deal in (await self.crm("/sim/deals"))["results"]:
                    if deal["properties"].get("entente_registration_id") == registration_id:
                        return str(deal["id"])
                await asyncio.sleep(AGAIN_SECONDS)

    async def _earned(self, sale: Sale) -> None:
        """A customer gets money back for what it has bought: the win comes first."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while (await self.look("ada", f"/v1/deals/{sale.registration_id}")).get("stage") != "won":
                await asyncio.sleep(AGAIN_SECONDS)


@asynccontextmanager
async def clients(child: Target, seed: int) -> AsyncIterator[Load]:
    """Clients of a system, which need not run yet."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        yield Load(child, random.Random(seed), http)
