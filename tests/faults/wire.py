"""A wire between the services and an engine that can be cut, slowed, or tapped for one message: the steps faults hit.

A tap waits for a request that it knows by its bytes, such as the insert of an event, a produce or a commit of offsets.
Then the request is swallowed, or it is carried out and its answer is: the one moment in which nobody but the engine
knows that it happened. What is to strike at that moment is called before the connection ends. Where the engine can be
asked what it holds, that is no guess: the answer that is swallowed is the first by which the engine holds something else.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

CHUNK_BYTES = 1 << 20
CONNECT_SECONDS = 5.0
SWALLOWED, UNANSWERED = "before it is done", "done, and not answered"

Knows = Callable[[bytes], bool]
Strike = Callable[[], Awaitable[None]]
Held = Callable[[], Awaitable[Any]]
"""What the engine holds of such requests."""


async def nothing() -> None:
    """The cut connection is all that happens."""


@dataclass
class Tap:
    """Waits for the next request that it knows. `hit` is set when it was there."""

    knows: Knows
    step: str
    strike: Strike = nothing
    held: Held | None = None
    hit: asyncio.Event = field(default_factory=asyncio.Event)
    before: Any = None

    async def meet(self) -> None:
        """The request is there, and not passed on yet."""
        self.before = await self.held() if self.held else None

    async def done(self) -> bool:
        """Whether the engine has carried the request out."""
        return self.held is None or await self.held() != self.before


@dataclass
class Wire:
    """Passes bytes on to `port`, from a port of its own, as its state allows."""

    port: int
    slow_seconds: float = 0.0
    taps: list[Tap] = field(default_factory=list)
    cuts: int = 0
    passed: int = 0
    """Chunks that went through, either way."""
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _serving: set["asyncio.Task[None]"] = field(default_factory=set)
    _away: bool = False

    @property
    def front(self) -> int:
        assert self._server is not None
        front: int = self._server.sockets[0].getsockname()[1]
        return front

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0, limit=CHUNK_BYTES)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.take_away()
        if self._serving:
            await asyncio.wait(self._serving)

    def cut(self) -> None:
        """Ends every connection there is."""
        for writer in self._open:
            writer.transport.abort()

    def take_away(self) -> None:
        """Nothing is there any more: connections end, and new ones are ended at once."""
        self._away = True
        self.cut()

    def bring_back(self) -> None:
        self._away = False

    async def tapped(self, knows: Knows, step: str, strike: Strike, seconds: float, held: Held | None = None) -> None:
        """Returns when the next request that `knows` knows has been struck. Raises TimeoutError when none comes."""
        tap = Tap(knows, step, strike, held)
        self.taps.append(tap)
        try:
            async with asyncio.timeout(seconds):
                await tap.hit.wait()
        finally:
            if tap in self.taps:
                self.taps.remove(tap)

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._away:
            writer.transport.abort()
            return
        try:
            connecting = asyncio.open_connection("127.0.0.1", self.port, limit=CHUNK_BYTES)
            behind, to_engine = await asyncio.wait_for(connecting, CONNECT_SECONDS)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, to_engine}
        caught: list[Tap] = []
        ways = (self._ask(reader, to_engine, caught), self._answer(behind, writer, caught))
        try:
            await _first_of(*map(asyncio.ensure_future, ways))
        finally:
            for one in (writer, to_engine):
                # What has been passed on is not taken back, unless a fault is to.
                (one.transport.abort if caught else one.close)()
                self._open.discard(one)

    async def _ask(self, client: asyncio.StreamReader, engine: asyncio.StreamWriter, caught: list[Tap]) -> None:
        while chunk := await client.read(CHUNK_BYTES):
            tap = next((tap for tap in self.taps if tap.knows(chunk)), None)
            if tap is not None:
                self.taps.remove(tap)
                self.cuts += 1
                await tap.meet()
                caught.append(tap)
                if tap.step == SWALLOWED:
                    await _struck(tap)
                    return
            await self._pass_on(chunk, engine)

    async def _answer(self, engine: asyncio.StreamReader, client: asyncio.StreamWriter, caught: list[Tap]) -> None:
        while chunk := await engine.read(CHUNK_BYTES):
            if caught and await caught[0].done():
                await _struck(caught[0])
                return
            await self._pass_on(chunk, client)

    async def _pass_on(self, chunk: bytes, to: asyncio.StreamWriter) -> None:
        if self.slow_seconds:
            await asyncio.sleep(self.slow_seconds)
        self.passed += 1
        to.write(chunk)
        await to.drain()


async def _struck(tap: Tap) -> None:
    """Strikes to the end, also where that ends the connection, and with it whoever waits here."""
    await asyncio.shield(asyncio.ensure_future(_strike(tap)))


async def _strike(tap: Tap) -> None:
    await tap.strike()
    tap.hit.set()


async def _first_of(*tasks: "asyncio.Future[None]") -> None:
    """Returns when one way has ended: then the connection has."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(OSError):
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    """A wire to the engine at `port`, or at one that is named later."""
    made = Wire(port)
    await made.listen()
    try:
        yield made
    finally:
        await made.close()
