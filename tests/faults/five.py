"""Five services as processes on real engines, with a wire before each engine: to be killed, frozen and cut off."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from chassis.asgi import Api
from chassis.keys import FileKeyWrapper
from chassis.process import free_port
from chassis.settings import ServiceSettings
from services import first_run
from services.distributed import (
    Distributed,
    Member,
    ServiceEnded,
    _begun,
    _ready,
    _started,
    command_of,
    distributed,
    opened,
)
from services.gateway.adapters.upstreams import OverHttp
from tests.engines import Engine, at_work, kafka, mongo, postgres
from tests.engines.mongo import Server as MongoServer
from tests.engines.postgres import Server as PostgresServer
from tests.faults.load import GIVE_UP_SECONDS, however_late
from tests.faults.wire import Wire, wire
from tests.scenarios.distributed import FiveProcesses, looked_into

END_SECONDS = 60.0
LAST_WORDS = 600
MOUNT = ("mount", "-t", "tmpfs", "-o", f"size={256 << 20}", "tmpfs")
OTHER_TENANT = "globex"
EASTGATE = first_run.FirstPartner("Eastgate Trading", "DE", "eastgate.example", "Elle East")


@dataclass
class Engines:
    """The engines of a profile, each behind its wire; the read models have a wire of their own to theirs.

    The keys are in a PostgreSQL of their own, opened by `master_key`, a file.
    """

    kafka: Engine
    postgres: PostgresServer
    documents: MongoServer | PostgresServer
    """The one in which read models are: PostgreSQL itself in the compact profile."""
    keys: PostgresServer
    master_key: Path
    to_kafka: Wire
    to_postgres: Wire
    to_documents: Wire
    to_keys: Wire

    def settings(self) -> dict[str, str]:
        """What tells a service where they are: always behind the wire."""
        return {
            "ENTENTE_KAFKA": f"127.0.0.1:{self.to_kafka.front}",
            "ENTENTE_POSTGRES": postgres.dsn_at(self.to_postgres.front),
            "ENTENTE_READ_STORE": _url_of(self.documents, self.to_documents.front),
            "ENTENTE_KEY_STORE": postgres.dsn_at(self.to_keys.front),
            "ENTENTE_MASTER_KEY": str(self.master_key),
        }

    def settings_here(self) -> dict[str, str]:
        """The same for this process, which waits for keys where it stands, and would wait for its own wire."""
        return self.settings() | {"ENTENTE_KEY_STORE": self.keys.dsn}


def _url_of(documents: MongoServer | PostgresServer, port: int) -> str:
    return mongo.url_at(port) if isinstance(documents, MongoServer) else postgres.dsn_at(port)


@asynccontextmanager
async def engines(folder: Path, profile: str) -> AsyncIterator[Engines]:
    """The engines of a profile at work, their files under `folder`."""
    for name in ("kafka", "postgres", "mongo"):
        (folder / name).mkdir(parents=True)
    master_key = folder / "master.key"
    FileKeyWrapper(master_key, made=True)
    async with wire(0) as to_kafka, wire(0) as to_postgres, wire(0) as to_documents, wire(0) as to_keys:
        broker = kafka.Broker(folder / "kafka", advertised=f"127.0.0.1:{to_kafka.front}")
        server = postgres.Server(folder / "postgres")
        documents = mongo.Server(folder / "mongo") if profile == "full" else server
        to_kafka.port = int(broker.bootstrap.rpartition(":")[2])
        keys = postgres.Server(folder / "keys")
        to_postgres.port, to_documents.port, to_keys.port = server.port, documents.port, keys.port
        async with AsyncExitStack() as stack:
            for engine in dict.fromkeys((broker, server, documents, keys)):
                stack.enter_context(at_work(engine))
            yield Engines(broker, server, documents, keys, master_key, to_kafka, to_postgres, to_documents, to_keys)


@dataclass
class Five:
    """The five at work and what a fault may be done to; clients of it see what they see of a child."""

    data: Path
    settings: ServiceSettings
    at_work: Distributed
    engines: Engines
    eyes: FiveProcesses
    """Looks into stores and topics without the processes' help."""
    stack: AsyncExitStack

    @property
    def address(self) -> str:
        return self.at_work.address

    @property
    def crm(self) -> str:
        return self.at_work.crm_url

    def last_words(self) -> str:
        """The end of each service's log."""
        return "\n".join(f"{one.name}: {one.log.read_text()[-LAST_WORDS:]}" for one in self.at_work.members.values())

    def send(self, name: str, number: signal.Signals) -> None:
        self.at_work.members[name].process.send_signal(number)

    async def kill(self, name: str) -> None:
        """Ends a service's process as a crash would."""
        await self._ended(name, signal.SIGKILL)

    async def terminate(self, name: str) -> None:
        """Asks a service to stop, and waits until it has."""
        await self._ended(name, signal.SIGTERM)

    async def _ended(self, name: str, number: signal.Signals) -> None:
        process = self.at_work.members[name].process
        process.send_signal(number)
        code = await asyncio.wait_for(process.wait(), END_SECONDS)
        assert code in (0, -number), f"{name} ended by itself, with {code}"

    async def start(self, name: str) -> None:
        """Starts a service where it was, and returns when it is ready."""
        members = self.at_work.members
        urls = {one.name: one.url for one in members.values()}
        assert isinstance(members, dict)
        members[name] = await _started(name, self.settings, urls, self.crm, self.stack)
        await _ready(members[name], self.at_work.api[name], GIVE_UP_SECONDS)

    @asynccontextmanager
    async def second(self, name: str) -> AsyncIterator[Member]:
        """A second process that does the work of a service, ready beside the first; it is stopped in order."""
        urls = {one.name: one.url for one in self.at_work.members.values()}
        urls[name] = f"http://{self.settings.host}:{free_port()}"
        command = [*command_of(name, self.settings, urls, self.crm), "--roles", "work"]
        beside = await _begun(name, urls[name], self.data / f"{name}-second.log", command, self.stack)
        there = OverHttp(urls)
        try:
            try:
                await _ready(beside, Api(there.of(name)), GIVE_UP_SECONDS)
            except ServiceEnded as ended:
                raise ServiceEnded(f"{ended}; its last words: {beside.log.read_text()[-LAST_WORDS:]}") from None
            yield beside
        finally:
            await there.close()
            if beside.process.returncode is None:
                beside.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(beside.process.wait(), END_SECONDS)


@asynccontextmanager
async def five(data: Path, at_hand: Engines) -> AsyncIterator[Five]:
    """The system on these engines, opened and at rest. The environment has to tell of the engines already."""
    settings = ServiceSettings(port=0, data=data)
    async with (
        distributed(settings, GIVE_UP_SECONDS) as at_work_now,
        looked_into(settings.model_copy(update={"key_store": at_hand.keys.dsn})) as (services, world),
        AsyncExitStack() as stack,
    ):
        eyes = FiveProcesses(
            services, world, at_work_now.crm_url, at_work=at_work_now, patience_seconds=GIVE_UP_SECONDS
        )
        eyes.connection_id = await however_late(lambda: opened(at_work_now), first_run.FirstRunFailed)
        await however_late(lambda: _another_vendor(eyes.front), first_run.FirstRunFailed)
        await eyes.settle()
        yield Five(data, settings, at_work_now, at_hand, eyes, stack)


async def _another_vendor(front: Api) -> None:
    """A second tenant with its own people, rules and partner, and without a CRM."""
    operator = await first_run.signed_in(front, "operator", OTHER_TENANT)
    tenant = {"slug": OTHER_TENANT, "name": "Globex", "zone": "Europe/Berlin", "currency": first_run.CURRENCY}
    await first_run.done(operator.post("/v1/tenants", tenant, key="globex"))
    for one in first_run.STAFF:
        await first_run.done(operator.post("/v1/staff", first_run.colleague(one), key=f"globex-{one.handle}"))
    ada, faye = [await first_run.signed_in(front, handle, OTHER_TENANT) for handle in ("ada", "faye")]
    for rules in first_run.RULES:
        await first_run.publish(ada, faye, rules, key=f"globex-{rules.kind}")
    await first_run.add_partner(ada, EASTGATE, key="globex-eastgate")


def cannot_mount() -> str | None:
    """Why no small volume can be made here, or None."""
    tried = subprocess.run(["unshare", "--mount", *MOUNT, "/mnt"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else None


@contextmanager
def volume(folder: Path) -> Iterator[None]:
    """A small volume in memory for the services' own files, so that it can be full."""
    folder.mkdir()
    subprocess.run([*MOUNT, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def logs_kept(data: Path, kept: Path | None) -> Iterator[None]:
    """Copies what the services said, whichever way the run ends: their folder goes with it."""
    try:
        yield
    finally:
        if kept is not None:
            for log in data.rglob("*.log"):
                copy = kept / log.relative_to(data)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(log, copy)


@contextmanager
def told(settings: dict[str, str]) -> Iterator[None]:
    """Sets variables of the environment that processes inherit, and takes them back."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
