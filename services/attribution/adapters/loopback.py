"""Runs an application on a port of this machine, for simulators in development and tests."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

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


class _Quiet(uvicorn.Server):
    """Leaves the process's signals to the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
