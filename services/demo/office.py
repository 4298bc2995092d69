"""Where everybody of the demo works: the public API for each of them, the CRM that salespeople use, and the clock."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from chassis.asgi import Answer, Api
from services import first_run

SIDE_BY_SIDE = 16
LOOK_SECONDS, LOOK_MAX_SECONDS, PATIENCE_SECONDS = 0.03, 0.5, 180.0
QUIET_LOOKS = 3
PAGE_ROWS, PAGE_EVENTS = 200, 1_000
CALL_SECONDS = 30.0
SERVICE_OF_PATH = 2
TRIES_MAX = 30


Told = Callable[[], None]
"""Hears of every step, for the progress bar."""


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Looks again and again, less and less often, until the answer is yes. Raises TimeoutError after some minutes."""
    pause = LOOK_SECONDS
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await look():
            await asyncio.sleep(pause)
            pause = min(2 * pause, LOOK_MAX_SECONDS)


@dataclass
class Crm:
    """The simulated CRM as a salesperson uses it."""

    url: str
    session: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        # A kept connection may be closed by the server at the very moment at which it is used again.
        connector = aiohttp.TCPConnector(force_close=True)
        self.session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=CALL_SECONDS))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def deals(self) -> list[dict[str, Any]]:
        """All deals with their properties, the last changed first."""
        async with self.session.get(f"{self.url}/sim/deals") as answer:
            found: list[dict[str, Any]] = (await answer.json())["results"]
            return found

    async def act(self, deal_id: str, verb: str, **said: str) -> None:
        """Wins, loses, moves or refunds a deal."""
        async with self.session.post(f"{self.url}/sim/deals/{deal_id}/{verb}", json=said) as answer:
            answer.raise_for_status()


@dataclass
class Office:
    """The public API as everybody uses it. Keys carry the story's name: what was done once is not done again."""

    front: Api
    crm: Crm
    connection_id: str
    story: str
    at_once: int = SIDE_BY_SIDE
    """How many work at a time. One after the other, a story takes the same course every time."""
    _signed_in: dict[str, Api] = field(default_factory=dict)
    _written: dict[str, int] = field(default_factory=dict)
    _events_to: str = ""
    events: int = 0

    async def who(self, name: str) -> Api:
        """The API as somebody, by handle or partner id."""
        if name not in self._signed_in:
            self._signed_in[name] = await first_run.signed_in(self.front, name)
        return self._signed_in[name]

    async def do(
        self, name: str, path: str, body: Any = None, *, key: str, also: tuple[int, ...] = (), method: str = "POST"
    ) -> Answer:
        """A command in somebody's name. Raises FirstRunFailed for a status that is neither good nor in `also`."""
        api = await self.who(name)
        content = b"" if body is None else orjson.dumps(body)
        headers = {"idempotency-key": self.key(key)}
        answer = await first_run.done(api.send(method, path, content, headers), also)
        service, _, position = answer.headers.get("entente-position", "").partition("=")
        if position:
            self._written[service] = max(self._written.get(service, 0), int(position))
        return answer

    def key(self, name: str) -> str:
        """The Idempotency-Key of one act of this story."""
        return f"demo-{self.story}-{name}"

    async def read(self, name: str, path: str) -> Any:
        """What somebody reads there, not before all that was written by anybody can be seen."""
        api, service = await self.who(name), path.split("/")[SERVICE_OF_PATH]
        wanted = f"{service}={self._written.get(service, 0)}"
        answer = await api.get(path, entente_at_least=wanted)
        for _ in range(TRIES_MAX):
            if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            answer = await api.get(path, entente_at_least=wanted)
        return first_run.good(answer).json()

    async def rows(self, name: str, path: str) -> list[dict[str, Any]]:
        """All rows of a list, page by page."""
        found: list[dict[str, Any]] = []
        sign, cursor = "&" if "?" in path else "?", ""
        while True:
            page = await self.read(name, f"{path}{sign}limit={PAGE_ROWS}&cursor={cursor}")
            found += page["items"]
            if not (cursor := page["next_cursor"] or ""):
                return found

    async def side_by_side(self, work: Iterable[Awaitable[Any]]) -> list[Any]:
        """The results in order."""
        gate = asyncio.Semaphore(self.at_once)

        async def one(each: Awaitable[Any]) -> Any:
            async with gate:
                return await each

        return await asyncio.gather(*(one(each) for each in work))

    async def read_crm(self) -> None:
        """Has attribution read what changed in the CRM."""
        dora = await self.who("dora")
        await first_run.done(dora.post(f"/v1/attribution/connections/{self.connection_id}/poll"))

    async def now(self) -> datetime:
        return datetime.fromisoformat((await first_run.done(self.front.get("/dev/clock"))).json()["now"])

    async def move(self, to: datetime) -> None:
        """Sets the clock forward. A day later nobody is signed in any more."""
        await first_run.done(self.front.post("/dev/clock", {"to": to.isoformat()}))
        self._signed_in.clear()

    async def quiet(self) -> None:
        """Waits until the event log has not grown for a while, so that everybody has heard of everything."""
        looks = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while looks < QUIET_LOOKS:
                await asyncio.sleep(LOOK_SECONDS)
                looks = 0 if await self._grown() else looks + 1

    async def _grown(self) -> bool:
        ada = await self.who("ada")
        answer = await first_run.done(ada.get(f"/v1/events?limit={PAGE_EVENTS}&cursor={self._events_to}"))
        grown = len(answer.body.splitlines())
        self.events, self._events_to = self.events + grown, answer.headers["entente-next"]
        return grown > 0
