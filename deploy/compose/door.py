"""The way in of compose.yaml: passes connections on to loopback, where the development issuer has to listen.

`python door.py 18080:8080 …` listens on every address at 18080 and passes on to 127.0.0.1:8080. What Docker publishes
reaches a container by its own address alone; compose.yaml publishes these ports on this machine's loopback and nowhere else.
"""

import asyncio
import contextlib
import signal
import sys
from functools import partial

CHUNK_BYTES = 1 << 16


async def passed_on(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carries one connection both ways until both sides have ended; nobody behind the door: it is closed."""
    with contextlib.suppress(OSError), contextlib.closing(writer):
        inside, outward = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(outward):
            await asyncio.gather(_carried(reader, outward), _carried(inside, writer))


async def _carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


async def main(ways: list[str]) -> None:
    """Listens for all ways until it is told to stop."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    for way in ways:
        outside, _, inside = way.partition(":")
        await asyncio.start_server(partial(passed_on, int(inside)), "0.0.0.0", int(outside))  # noqa: S104  see above
    await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
