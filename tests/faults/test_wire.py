"""The wire that faults are made with: it strikes at the step that it names, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.wire import SWALLOWED, UNANSWERED, Wire, nothing, wire
from tests.patience import PATIENCE_SECONDS


class Engine:
    """Answers each line with itself, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.asked.append(line)
            writer.write(line)
        writer.close()


@asynccontextmanager
async def behind_a_wire() -> AsyncIterator[tuple[Engine, Wire]]:
    engine = Engine()
    server = await asyncio.start_server(engine.serve, "127.0.0.1", 0)
    async with server, wire(server.sockets[0].getsockname()[1]) as between:
        yield engine, between


async def asked(between: Wire, line: bytes) -> bytes:
    """The answer to a line on a connection of its own; empty when the connection ended without one."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", between.front)
        try:
            writer.write(line)
            return await reader.readline()
        except ConnectionError:
            return b""
        finally:
            writer.transport.abort()


async def test_what_nothing_is_done_to_passes() -> None:
    async with behind_a_wire() as (engine, between):
        assert await asked(between, b"one\n") == b"one\n"
        between.slow_seconds = 0.01
        assert await asked(between, b"two\n") == b"two\n"
    assert engine.asked == [b"one\n", b"two\n"]


@pytest.mark.parametrize(("step", "done"), [(SWALLOWED, []), (UNANSWERED, [b"write\n"])])
async def test_a_tap_strikes_once_before_or_after_its_request_is_done(step: str, done: list[bytes]) -> None:
    struck: list[int] = []
    async with behind_a_wire() as (engine, between):

        async def strike() -> None:
            struck.append(len(engine.asked))

        tapped = asyncio.create_task(between.tapped(lambda chunk: b"write" in chunk, step, strike, PATIENCE_SECONDS))
        await asyncio.sleep(0)
        assert await asked(between, b"read\n") == b"read\n"
        assert await asked(between, b"write\n") == b""
        await tapped
        assert engine.asked == [b"read\n", *done]
        assert struck == [1 + len(done)]
        assert await asked(between, b"write\n") == b"write\n"


async def test_a_strike_that_ends_the_connection_goes_on_to_its_end() -> None:
    async with behind_a_wire() as (_, between):

        async def strike() -> None:
            between.cut()
            await asyncio.sleep(0.05)

        tapped = asyncio.create_task(between.tapped(lambda _: True, UNANSWERED, strike, PATIENCE_SECONDS))
        await asyncio.sleep(0)
        assert await asked(between, b"write\n") == b""
        await tapped


async def test_an_answer_of_something_else_passes_until_the_engine_has_done_what_the_tap_waits_for() -> None:
    """As on a connection that carries several requests at once."""
    async with behind_a_wire() as (engine, between):

        async def held() -> bool:
            return b"write\n" in engine.asked

        reads = between.tapped(lambda chunk: b"read" in chunk, UNANSWERED, nothing, PATIENCE_SECONDS, held)
        tapped = asyncio.create_task(reads)
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", between.front)
        writer.write(b"read\n")
        assert await reader.readline() == b"read\n"
        assert not tapped.done()
        writer.write(b"write\n")
        assert await reader.read() == b""
        await tapped
        writer.close()


async def test_a_tap_that_nothing_meets_says_so() -> None:
    async with behind_a_wire() as (_, between):
        with pytest.raises(TimeoutError):
            await between.tapped(lambda _: False, SWALLOWED, nothing, 0.01)
        assert between.taps == []


async def test_nothing_is_behind_a_wire_that_is_taken_away() -> None:
    async with behind_a_wire() as (engine, between):
        between.take_away()
        assert await asked(between, b"one\n") == b""
        between.bring_back()
        assert await asked(between, b"one\n") == b"one\n"
    assert engine.asked == [b"one\n"]
