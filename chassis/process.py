"""The life of one process: services open, meet, start, serve, and stop in order."""

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import socket
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp

from chassis import health
from chassis.clock import Clock, DevClock, SystemClock
from chassis.identity import Signer, SigningKeys, Verifier
from chassis.service import Service, World
from chassis.settings import ServiceSettings, WrongSetting, variable
from chassis.tracing import make_tracing
from chassis.transport.in_process import InProcessTransport
from chassis.transport.port import Transport

KEEP_ALIVE_SECONDS = 75
STARTING_SECONDS = 0.01
SERVED_PORTS, PORTS_TRIED = range(10_000, 32_000), 100
_claims: deque[socket.socket] = deque(maxlen=64)
"""What holds the latest ports found for somebody until they are bound, while this process lives."""


class PortTaken(Exception):
    """Something else listens there, or nobody may."""


class NoFolder(Exception):
    """A folder cannot be made, or nothing can be written into it."""


def make_world(settings: ServiceSettings, transport: Transport | None = None, clock: Clock | None = None) -> World:
    """What the services of this process share: clock, signing keys, transport. Raises NoFolder, WrongSetting."""
    make_folder(settings.data, "the data folder")
    keys = _signing_keys(settings)
    return World(
        clock=clock or _clock(settings),
        signer=Signer(keys),
        verifier=Verifier(keys),
        transport=transport or make_transport(settings),
        tracing=make_tracing(settings),
    )


def _signing_keys(settings: ServiceSettings) -> SigningKeys:
    try:
        return SigningKeys(settings.signing_keys or settings.data / "signing.json")
    except (OSError, ValueError, KeyError, TypeError) as no:
        if settings.signing_keys is None:
            raise
        raise WrongSetting(
            f"{variable('signing_keys')} cannot be used: it takes a file as `keys make` makes it"
        ) from no


def make_folder(path: Path, called: str) -> None:
    """The folder is there, and can be written into. Raises NoFolder, which calls it so."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as no:
        raise NoFolder(f"{called} {path} cannot be made ({no.strerror}): choose another one") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise NoFolder(f"{called} {path} cannot be written to: choose another one, or change whose it is")


def _clock(settings: ServiceSettings) -> Clock:
    return DevClock(settings.data / "clock.json") if settings.development else SystemClock()


def make_transport(settings: ServiceSettings) -> Transport:
    """Kafka where the settings name its brokers, else the process itself."""
    if not settings.kafka:
        return InProcessTransport()
    from chassis.transport import kafka, kafka_security  # imported only where they are used: 300 ms

    security, tokens = kafka_security.security_of(settings), kafka_security.token_provider_of(settings)
    given = kafka.Settings(bootstrap=settings.kafka, security=security, token_provider=tokens)
    one_broker = replace(given, partitions=1, replication=1, in_sync_min=1)
    return kafka.KafkaTransport(one_broker if settings.development else given)


@asynccontextmanager
async def opened(services: Iterable[Service], world: World, *, alone: bool = False) -> AsyncIterator[None]:
    """The services with their stores open, doing nothing. Raises InUse as `running` does."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, world.tracing.close)
        for service in services:
            await service.migrate()
            await service.open(alone=alone)
            stack.push_async_callback(service.close)
        yield


@asynccontextmanager
async def running(services: Iterable[Service], world: World, *, alone: bool = False) -> AsyncIterator[None]:
    """The services at work. On leaving: tasks end, the transport stops, the stores close.

    Raises InUse with `alone` while another process works on the same files, and while another one does so alone;
    LogBehind where a log was restored from a backup older than what its readers have seen.
    """
    async with opened(services, world, alone=alone), AsyncExitStack() as stack:
        await _must_hold_what_was_read(services)
        await world.transport.start()
        stack.push_async_callback(world.transport.stop)
        for service in services:
            await service.start()
            stack.push_async_callback(service.stop)
        yield


async def _must_hold_what_was_read(services: Iterable[Service]) -> None:
    """Side by side: each of them asks the broker, which may let all wait."""
    looked = await asyncio.gather(*(one.must_hold_what_was_read() for one in services), return_exceptions=True)
    if no := next(filter(None, looked), None):
        raise no


@asynccontextmanager
async def listening(
    front: ASGIApp, settings: ServiceSettings, world: World
) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Serves `front` on the settings' address: the address, and an event that SIGTERM or SIGINT sets.

    On leaving, requests in hand are finished; answers that would go on for ever are ended. Where the settings name an
    internal port, probes and figures are served there, and until all else has ended.
    """
    gc.freeze()
    stopped = stop_signal()
    async with AsyncExitStack() as stack:
        if settings.internal_port is not None:
            await stack.enter_async_context(_served(health.internal(world), settings, settings.internal_port))
        address = await stack.enter_async_context(_served(front, settings, settings.port))
        try:
            yield address, stopped
        finally:
            for service in world.neighbours.values():
                service.hang_up()


@asynccontextmanager
async def _served(app: ASGIApp, settings: ServiceSettings, port: int) -> AsyncIterator[str]:
    """Serves an app on a port of the settings' host: its address. Raises SystemExit where it cannot listen."""
    server = _Server(_config(app, settings, port))
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110  uvicorn offers a flag, no event
        await asyncio.sleep(STARTING_SECONDS)
    if serving.done():
        await serving
        raise SystemExit(f"{settings.host}:{port} cannot be listened on: choose another port")
    try:
        yield f"http://{settings.host}:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """Leaves signals to the process: uvicorn would raise them again before the stores are closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def _config(front: ASGIApp, settings: ServiceSettings, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        front,
        host=settings.host,
        port=port,
        log_config=None,
        access_log=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(one) for one in settings.trusted_proxies],
        lifespan="off",
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.stop_seconds),
    )


async def serve(services: list[Service], world: World, front: ASGIApp, settings: ServiceSettings) -> None:
    """Serves the services behind `front` until SIGTERM or SIGINT, then stops in order."""
    async with running(services, world), listening(front, settings, world) as (_, stopped):
        await stopped.wait()


def must_be_free(host: str, port: int) -> None:
    """Raises PortTaken unless one may listen there now. Port 0 is any that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as no:
        raise PortTaken(
            f"{host}:{port} cannot be listened on ({_cause(no)}): stop what listens there, or choose another port"
        ) from None


def _cause(no: OSError) -> str:
    """In words; those of a socket's error hold the address again, a name that nobody knows has a number of its own."""
    return str(no.strerror) if isinstance(no, socket.gaierror) else os.strerror(no.errno or 0)


def free_port() -> int:
    """A port of this machine that nobody holds now; whoever it is for binds it a moment later, and at each start anew.

    Linux gives none of these to a connection that goes out (`ip_local_port_range`): it would be taken when it is bound.
    No other process is given it here meanwhile: the UDP port of the same number, which nobody uses, is held as a claim.
    Raises PortTaken.
    """
    for port in secrets.SystemRandom().sample(SERVED_PORTS, PORTS_TRIED):
        claim = socket.socket(type=socket.SOCK_DGRAM)
        with socket.socket() as probe, contextlib.suppress(OSError):
            claim.bind(("127.0.0.1", port))
            probe.bind(("127.0.0.1", port))
            _claims.append(claim)
            return port
        claim.close()
    raise PortTaken(f"none of {PORTS_TRIED} ports of this machine is free")


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine on uvloop; SIGTERM ends it in order."""
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(main))


async def _until_told(main: Coroutine[Any, Any, None]) -> None:
    """The coroutine until it ends or SIGTERM comes; once it listens, it hears the signal itself."""
    work = asyncio.ensure_future(main)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        if not work.cancelled():
            raise
