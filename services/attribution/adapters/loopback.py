"""Runs an application on a port of this machine, for simulators in development and tests."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from chassis import secret_file
from chassis.process import PortTaken, must_be_free

START_SECONDS, STOP_SECONDS = 10.0, 3


@asynccontextmanager
async def on_loopback(app: FastAPI, port: int = 0) -> AsyncIterator[str]:
    """Serves `app` while the block runs; gives its address. Port 0 takes any that is free."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=STOP_SECONDS, access_log=False
    )
    server = _Quiet(config)
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(START_SECONDS):
            while not server.started:
                if task.done():
                    await task
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def on_kept_port(app: FastAPI, kept: Path, first_port: int = 0) -> AsyncIterator[str]:
    """As `on_loopback`, on the port that the file remembers: others keep the address. Raises PortTaken.

    At first on `first_port`, or on any other where that is taken.
    """
    port = _kept_port(kept)
    if port and not _if_free(port):
        raise PortTaken(
            f"127.0.0.1:{port} cannot be listened on, and the simulated CRM of this data keeps that address: stop what "
            "listens there. A copy of the data does not run beside its original"
        )
    async with on_loopback(app, port or _if_free(first_port)) as address:
        # Whole from the first moment and never written again: others may read it while this process is killed.
        secret_file.make_once(kept, address.rpartition(":")[2].encode())
        yield address


def _if_free(port: int) -> int:
    """The port, 0 where it is taken."""
    try:
        must_be_free("127.0.0.1", port)
    except PortTaken:
        return 0
    return port


def _kept_port(kept: Path) -> int:
    return int(kept.read_text()) if kept.exists() else 0


class _Quiet(uvicorn.Server):
    """Leaves the process's signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
