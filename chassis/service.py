"""One service put together from what it declares: stores, commands, read models, reactions, routes, and its life.

A `Blueprint` is pure declaration. `assemble` makes a `Service` of it on the stores that the settings name and the
`World` that services of one process share. `open` → `start` → `stop`; roles split the work between processes.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI

from chassis import bulk_api, health, inspection, parked, parked_api, rulebook_api, shadow_api
from chassis.access import Access
from chassis.afresh import MakeAfresh
from chassis.answers import Documented
from chassis.application import Application, Explain, MayAsk, Publish, Reaction, Source
from chassis.bulk import BatchApplied, BatchDiscarded, subject_of
from chassis.bulk_file import FILE_BYTES_MAX
from chassis.bulk_work import Bulk, BulkWork
from chassis.clock import Clock
from chassis.consumer import Projecting, Reactions, bound
from chassis.deadlines import Deadline, Ticker
from chassis.desk.port import Desk
from chassis.desk.sqlite import SqliteDesk
from chassis.epoch import HANDLES as EPOCHS
from chassis.epoch import must_hold
from chassis.event import Seen, frozen
from chassis.execution import Executor, Handles
from chassis.filled import Filled
from chassis.forgetting import Forgets, Forgetting
from chassis.http import FOUND, Identify, Measured, signed_principal, with_conventions
from chassis.identity import Signer, Verifier
from chassis.key_store.port import KeyStore
from chassis.key_store.sqlite import SqliteKeyStore
from chassis.keys import KEYS_FILE, MASTER_FILE, FileKeyWrapper, Keys, KeysLocked
from chassis.keys_copy import Kept, KeyDatabase, KeysFile, take_over
from chassis.master_key import MasterKey
from chassis.note import NoteSigner
from chassis.presence import at_work
from chassis.projecting import Feed, ProjectingSettings, ProjectionLag, ProjectionRunner, feed_of
from chassis.projection import Projection
from chassis.read_store.port import ReadStore
from chassis.read_store.sqlite import SqliteReadStore
from chassis.rulebook import Kind
from chassis.settings import ServiceSettings, WrongSetting, variable
from chassis.shadow import Eyes, Tally, Weigh
from chassis.shadow_runs import ShadowRuns
from chassis.shadow_spread import Spread
from chassis.short_way import Directory, shortened
from chassis.store.port import EPOCH_POSITIONS, EventStore, StoreSettings
from chassis.store.sqlite import SqliteEventStore
from chassis.supervision import Tasks
from chassis.telemetry import Telemetry
from chassis.tracing import UNTRACED as OFF
from chassis.tracing import Traced, Tracing
from chassis.transport.port import (
    Lag,
    Message,
    Outlet,
    Transport,
    group_in,
    projection_group,
    read,
    relay_name,
    topic_of,
)
from chassis.witness import Witness, WitnessSettings
from chassis.witness_key import SealedSigning, Signing, held

log = structlog.get_logger()
API, WORK = "api", "work"
SHARED_TABLE = {**inspection.TABLE, **parked_api.TABLE, **rulebook_api.TABLE, **shadow_api.TABLE}
"""Who may do what every service offers, where a service says nothing else."""
Overhear = Callable[[Application, Seen], None]
Worker = Callable[[Application], Awaitable[None]]


@frozen
class Blueprint:
    """What a service is made of.

    `workers` run for ever beside it; `identify` replaces the signed principal as the way to know who calls;
    `shared_prefix` is where the routes that every service has stand; `overhears` is told of the public events of the
    services `everywhere`, in each process that answers requests, once or more; `hang_up` ends answers that have no end
    of their own when the process is to stop; `let_go` closes what its ports hold open, at the end; `briefly` explains to a
    shadow run with outcome and reasons alone what takes long to `explain`, or leaves it out there; `may_ask` says whether a
    partner may ask why something happened, where its public form does not; `source` finds the event that an input of an
    explanation came from, where the decision did not know it; `weigh` finds the money in events, `tally` what of
    them a shadow run counts; `forgets` says whose key an event destroys; `afresh` is, by kind of rules, what a full shadow
    run looks up again; `bulk` are the imports that it takes; `files` are other paths at which it takes files, with how large
    these may be. `declared_in` is the module that has this as its `BLUEPRINT`: a process that is begun for a shadow run finds
    it there.
    """

    name: str
    handles: Sequence[Handles]
    access: Access
    routers: Sequence[APIRouter]
    publish: Publish
    projections: Sequence[Projection] = ()
    reactions: Mapping[type[Any], Reaction] = field(default_factory=dict)
    deadlines: Sequence[Deadline] = ()
    kinds: Mapping[str, Kind[Any, Any]] = field(default_factory=dict)
    explain: Mapping[type[Any], Explain] = field(default_factory=dict)
    briefly: Mapping[type[Any], Explain] = field(default_factory=dict)
    disclose: Callable[[Any], Any] = lambda decision: decision
    may_ask: Mapping[type[Any], MayAsk] = field(default_factory=dict)
    source: Source | None = None
    weigh: Weigh = field(default_factory=dict)
    tally: Tally = field(default_factory=dict)
    workers: Mapping[str, Worker] = field(default_factory=dict)
    identify: Identify | None = None
    shared_prefix: str = ""
    forgets: Forgets = field(default_factory=dict)
    bulk: Bulk | None = None
    files: Mapping[str, int] = field(default_factory=dict)
    overhears: Overhear | None = None
    everywhere: Sequence[str] = ()
    hang_up: Callable[[Application], None] = lambda app: None
    let_go: Callable[[Application], Awaitable[None]] | None = None
    declared_in: str = ""
    afresh: Mapping[str, MakeAfresh] = field(default_factory=dict)


@dataclass(kw_only=True)
class World:
    """What the services of one process share. `neighbours` are the services themselves, by name, once they are made."""

    clock: Clock
    signer: Signer
    verifier: Verifier
    transport: Transport
    tracing: Tracing = OFF
    neighbours: dict[str, "Service"] = field(default_factory=dict)


class Service:
    """One running service. Belongs to one event loop."""

    def __init__(
        self, blueprint: Blueprint, settings: ServiceSettings, world: World, application: Application, desk: Desk
    ) -> None:
        self.blueprint, self.settings, self.world, self.application = blueprint, settings, world, application
        self.name = blueprint.name
        self.directory = directory_of(settings, blueprint.name)
        self.store: EventStore = application.executor.store
        self.tracer = application.executor.tracer = world.tracing.of(self.name)
        self.outlet = Outlet(self.name, self.store, blueprint.publish, self.tracer)
        self.desk = desk
        self.parking, self.positions = desk.parking, desk.positions
        self.filled = Filled(self.positions)
        every = application.executor.every_handles
        self.shadow_runs = application.shadow_runs = ShadowRuns(
            desk.runs,
            self.store,
            every,
            eyes_of(blueprint),
            spread_of(blueprint, settings, every),
            blueprint.afresh,
            settings.shadow_streams_max,
        )
        # The rows of an import are needed until they are carried out; then nobody reads them any more.
        over = (BatchApplied, BatchDiscarded) if blueprint.bulk else ()
        rows = dict.fromkeys(over, lambda batch: subject_of(batch.batch_id))
        self.forgets: Forgets = {**rows, **blueprint.forgets}
        self.forgetting = Forgetting(self.store, application.keys, self.forgets)
        self.ticker = Ticker(application.read, blueprint.deadlines, world.clock, application.issue)
        self.runner: ProjectionRunner
        self.reactions: list[Reactions] = []
        self.witness: Witness | None = None
        self.telemetry = application.executor.telemetry = self.shadow_runs.telemetry = Telemetry(self.name)
        self.tasks = Tasks()
        self.started = self.is_open = False
        self.api = self._api()
        self._exit = AsyncExitStack()

    @property
    def projections(self) -> list[Projection]:
        """All read models: the service's own, its deadlines, and those that every service has."""
        shared = [inspection.event_places(self.name), *([rulebook_api.RULEBOOKS] if self.blueprint.kinds else [])]
        shared += bulk_api.PROJECTIONS if self.blueprint.bulk else ()
        return [*self.blueprint.projections, *self.blueprint.deadlines, *shared]

    @property
    def hears(self) -> frozenset[str]:
        """The services whose topics it reads, itself among them where a read model follows its own public events."""
        reacted = {cls.type.split(".")[1] for cls in self.blueprint.reactions}
        return frozenset(reacted.union(self.blueprint.everywhere, *(one.heard for one in self.projections)))

    def _feeds(self) -> dict[str, Feed]:
        """How read models read other services again: those of this process from their stores, others over HTTP."""
        heard = {source for projection in self.projections for source in projection.heard}
        here = {name: feed_of(other.outlet) for name, other in self.world.neighbours.items() if name in heard}
        away = {name: url for name, url in self.settings.upstreams.items() if name in heard - here.keys()}
        return here | (self._far_feeds(away) if away else {})

    def _far_feeds(self, urls: Mapping[str, str]) -> dict[str, Feed]:
        from chassis.far_feed import FarFeeds  # imported only where it is used: aiohttp takes 100 ms

        feeds = FarFeeds(self.name, urls, self.world.signer)
        self._exit.push_async_callback(feeds.close)
        return {name: feeds.of(name) for name in urls}

    def _api(self) -> FastAPI:
        api = Documented(
            self.application.executor.handles.values(),
            title=f"Entente {self.name}",
            version="1",
            docs_url=None,
            redoc_url=None,
            telemetry=health.UNTRACED,
        )
        api.router.redirect_slashes = False
        public = (health.probes, health.figures) if self.settings.open_figures else (health.probes,)
        for router in (*self.blueprint.routers, *public):
            # As they stand: an included router is looked through twice a request.
            api.router.routes += [shortened(route, FOUND) for route in router.routes]
        with_kinds = (rulebook_api.router, shadow_api.router) if self.blueprint.kinds else ()
        for router in (inspection.router, parked_api.router, *with_kinds):
            api.include_router(router, prefix=self.blueprint.shared_prefix)
        if self.blueprint.bulk:
            api.include_router(bulk_api.router, prefix=self.blueprint.bulk.at)
        api.router.routes.insert(0, Directory(api.router.routes))
        api.state.world = self.world
        identify = self.blueprint.identify or signed_principal(self.world.verifier, self.name)
        return with_conventions(api, self.application, identify)

    async def migrate(self) -> None:
        """Makes what the stores need; again is harmless."""
        self.directory.mkdir(parents=True, exist_ok=True)
        await self.store.migrate()
        await self.desk.migrate()
        await asyncio.to_thread(self._migrate_keys)

    def _migrate_keys(self) -> None:
        """Makes their tables. Keys that lay in a file until now are moved to where the settings want them."""
        store, file = self.application.keys.store, KeysFile(self.directory)
        master_key = None if self.settings.kms else self.settings.master_key
        if isinstance(store, KeyDatabase) and take_over(file, store, master_key):
            log.warning("keys_taken_over", path=str(file.path), then="remove what copies of the file there are")
        store.migrate()

    async def open(self, *, alone: bool = False) -> None:
        """Opens the stores and tells the transport what this service offers and hears.

        Raises InUse while another process has the service for itself, or, with `alone`, while one is at work at all;
        WitnessKeyClosed where the keys are not those that the log was witnessed with.
        """
        self.api.add_middleware(Measured, telemetry=self.telemetry)
        if self.tracer.on:
            self.api.add_middleware(Traced, tracer=self.tracer)
        await self._exit.enter_async_context(self.desk.at_work(alone=alone))
        await self._open_keys(alone=alone)
        await self._look_where_keys_lie()
        await self.store.open()
        self._exit.push_async_callback(self.store.close)
        await self.desk.open()
        self._exit.push_async_callback(self.desk.close)
        await self._open_witness()  # before anything is done with the keys: it knows whether they are this log's
        await self.forgetting.catch_up()  # before anybody is served: keys from a backup know of no one who left since
        await self.application.read.open()
        self._exit.push_async_callback(self.application.read.close)
        self._exit.push_async_callback(self.shadow_runs.stop)
        self.runner = ProjectionRunner(
            self.name,
            self.store,
            self.application.read,
            self.projections,
            feeds=self._feeds(),
            settings=ProjectingSettings(
                shared=bool(self.settings.kafka)
            ),  # whose groups share messages among processes
            stops=self.desk.stops,
        )
        await self.runner.prepare()
        self.application.reached, self.application.standing = self.runner.reached, self.standing
        self.is_open = True
        if WORK in self.settings.roles:
            self._meet_the_others()
        if API in self.settings.roles and self.blueprint.overhears:
            for source in self.blueprint.everywhere:
                self.world.transport.listen(topic_of(source), self._overhear)

    async def _open_witness(self) -> None:
        signing = WitnessSettings(checkpoint_seconds=self.settings.checkpoint_seconds)
        leaves = self.desk.leaves(self.store.epoch)
        self.witness = Witness(self.store, leaves, self.signing(leaves.origin), self.world.clock, signing)
        with suppress(KeysLocked):  # at once: the next start may be where the file of an older release is not
            await self.witness.signer()
        self.application.proof, self.application.covering = self.witness.proof, self.witness.covering

    def signing(self, origin: str) -> Signing:
        """How the witness comes by its key: sealed at the desk, else in a file."""
        file = self.directory / f"{self.name}-witness.key"
        if self.desk.seeds is None:
            return held(NoteSigner.in_file(origin, file))
        return SealedSigning(origin, self.desk.seeds, self.application.keys, file)

    async def _open_keys(self, *, alone: bool) -> None:
        if self.desk.seeds and not self.settings.key_store:
            # Keys are files there: whoever brings them back asks for the folder alone.
            self._exit.enter_context(at_work(self.directory, alone=alone))
        await asyncio.to_thread(self.application.keys.prepare)
        if self.application.master_key:
            await self.application.master_key.check()

    async def _look_where_keys_lie(self) -> None:
        """Warns where one server has keys and log, and with it each copy of that server."""
        log_at, keys_at = self.settings.postgres, self.settings.key_store
        if log_at and keys_at:
            from chassis.store.servers import of_one_server  # imported only where it is used, as above

            if await of_one_server(log_at, keys_at):
                told = "whoever is forgotten lives on in each copy of that server: keep its copies as shortly as those of keys"
                log.warning("keys_share_a_server", service=self.name, then=told)

    async def _overhear(self, messages: list[Message]) -> None:
        """Tells what can be read; what cannot is dealt with where the same messages are worked on."""
        assert self.blueprint.overhears is not None
        for event in map(read, messages):
            if isinstance(event, Seen):
                self.blueprint.overhears(self.application, event)

    def _meet_the_others(self) -> None:
        transport = self.world.transport
        transport.offer(self.outlet, self.positions)
        table = bound(self.blueprint.reactions, self.application.patient())
        for source in sorted({type_name.split(".")[1] for type_name in table}):
            reactions = Reactions(self.name, topic_of(source), table, self.parking, tracer=self.tracer)
            self.reactions.append(reactions)
            group = group_in(reactions.group, self.store.epoch)
            transport.subscribe(reactions.topic, group, reactions.on_batch, self.positions)
        for projection in self.projections:
            for source in sorted(projection.heard):
                feeding = Projecting(self.runner.apply_to(projection.name), topic_of(source))
                group = projection_group(self.name, projection.model)
                transport.subscribe(topic_of(source), group, feeding.on_batch, self.positions)

    async def read_so_far(self) -> dict[str, int]:
        """How far this service's log was read, by reader: what each of them remembers, not what the log says."""
        read = {
            "the witness": await self._witnessed(),
            "the relay": await self.positions.get(relay_name(self.outlet)),
            f"read models of {self.name}": self.runner.read_so_far(self.name),
            "the topic": await self.world.transport.told_to(self.outlet),
        }
        for name, other in self.world.neighbours.items():
            if other is not self and other.is_open:
                read[f"read models of {name}"] = other.runner.read_so_far(self.name)
        return read

    async def _witnessed(self) -> int:
        """The last position with a leaf, or the first of a newer epoch, of which a log from a backup knows nothing."""
        newest = await self.desk.newest_epoch()
        if newest > self.store.epoch:
            return newest * EPOCH_POSITIONS + 1
        assert self.witness is not None
        return (await self.witness.leaves.end()).last_position

    async def must_hold_what_was_read(self) -> None:
        """Raises LogBehind where the log was restored from a backup older than what its readers have seen."""
        await must_hold(self.name, self.store, await self.read_so_far())

    async def start(self) -> None:
        """Starts everything that runs for ever."""
        if self.application.master_key:
            self.tasks.start(f"{self.name} master key", self.application.master_key.watch)
        if WORK in self.settings.roles:
            self.tasks.start(f"{self.name} read models", self.runner.run)
            self.tasks.start(f"{self.name} deadlines", self.ticker.run)
            if self.forgets:
                self.tasks.start(f"{self.name} forgetting", self.forgetting.run)
            if self.witness:
                self.tasks.start(f"{self.name} witness", self.witness.run)
            for reactions in self.reactions:
                self.tasks.start(f"{reactions.group} {reactions.topic} replay", reactions.replay_always)
            if self.blueprint.bulk:
                self.tasks.start(f"{self.name} imports", BulkWork(self.application, self.blueprint.bulk).run)
            for name, worker in self.blueprint.workers.items():
                self.tasks.start(f"{self.name} {name}", partial(worker, self.application))
        self.started = True

    def hang_up(self) -> None:
        """Ends answers that have no end of their own, such as live streams: no new ones are taken."""
        self.blueprint.hang_up(self.application)

    async def stop(self) -> None:
        """Ends the tasks; what is in hand is finished first."""
        self.started = False
        await self.tasks.stop(self.settings.stop_seconds)

    async def close(self) -> None:
        """Closes the stores, after the transport has stopped."""
        await self._exit.aclose()
        if self.blueprint.let_go:
            await self.blueprint.let_go(self.application)
        self.application.keys.close()

    async def readiness(self) -> dict[str, Any]:
        """Whether the service is ready, how far each read model is behind in events, and how much is parked.

        A read model is ready when a version that this release knows is live and was once filled up to the present. One that
        met a bug or fell behind since is told, and takes nothing else away. A rebuild beside the live one changes nothing.
        `no_feed` names services whose feeds a version waits for and nobody has said where they are. While the keys are
        locked nothing is ready; while what keeps them is away, that is told, and what needs no key goes on. A group that
        the broker does not let read is named; what else the service does goes on.
        """
        await self.runner.look()
        lags = {lag.name: lag for lag in sorted(self.runner.lag(), key=lambda lag: lag.live)}
        head = await self.store.head()
        filled = [await self.filled.look(lag, head) for lag in lags.values()]
        ready = self.started and not self.application.keys.locked and all(filled)
        models = {name: _behind(lag) for name, lag in lags.items()}
        more = {"keys": keys} if (keys := await self._state_of_keys()) else {}
        if refused := {f"{one.group} {one.topic}": one.refused for one in self._groups() if one.refused}:
            more["refused"] = refused
        return {"ready": ready, "models": models, "parked": await self.parking.count() if self.started else 0, **more}

    async def _state_of_keys(self) -> dict[str, Any]:
        state = self.application.master_key.state() if self.application.master_key else {}
        return state if await self._keys_answer() else {**state, "away": True}

    async def _keys_answer(self) -> bool:
        return await asyncio.to_thread(self.application.keys.store.answers)

    def standing(self) -> frozenset[str]:
        """The read models that met a bug and stand, here or in the process that runs them."""
        return frozenset(lag.name for lag in self.runner.lag() if lag.live and lag.stopped is not None)

    def _groups(self) -> list[Lag]:
        """How far each group of this service is that this process is to bring something."""
        return [one for one in self.world.transport.lag() if one.group.startswith(f"{topic_of(self.name)}.")]

    async def figures(self) -> bytes:
        """The service's figures in Prometheus's text form, as they stand now."""
        await self.runner.look()
        self.telemetry.forget_projections()
        for lag in self.runner.lag():
            self.telemetry.projection_lag(
                lag.model,
                lag.behind,
                stopped=lag.stopped is not None,
                incomplete=lag.incomplete,
                no_feed=len(lag.no_feed),
            )
        for group in self._groups():
            self.telemetry.consumer_lag(group.group, group.topic, group.behind, refused=group.refused is not None)
        for relay in self.world.transport.relays:
            if relay.outlet is self.outlet:
                self.telemetry.relay_age(await relay.age_seconds(self.world.clock.now()))
        self.telemetry.keys_away(away=not await self._keys_answer())
        if master_key := self.application.master_key:
            self.telemetry.keys(locked=master_key.locked, failing=master_key.said is not None)
        self.telemetry.parked(await self.parking.count())
        witnessed = (await self.witness.leaves.end()).last_position if self.witness else 0
        self.telemetry.witness_lag(await self.store.head() - witnessed)
        return self.telemetry.text()


def _behind(lag: ProjectionLag) -> dict[str, Any]:
    return {
        "live": lag.live,
        "behind": lag.behind,
        "filling": list(lag.filling),
        "no_feed": list(lag.no_feed),
        "stopped": lag.stopped,
        "incomplete": lag.incomplete,
    }


def directory_of(settings: ServiceSettings, name: str) -> Path:
    """Where a service keeps its files."""
    return settings.data / name


def event_store(settings: ServiceSettings, name: str) -> EventStore:
    """The event store that the settings name: PostgreSQL, else a SQLite file."""
    limits = StoreSettings(queue_max=settings.commits_waiting_max)
    if settings.postgres:
        from chassis.store.postgres import PostgresEventStore  # imported only where it is used: 120 ms

        return PostgresEventStore(settings.postgres, schema=name, settings=limits)
    return SqliteEventStore(directory_of(settings, name) / "events.db", settings=limits)


def desk_of(settings: ServiceSettings, name: str, clock: Clock) -> Desk:
    """What the service remembers besides its log, where that log is."""
    directory = directory_of(settings, name)
    if settings.postgres:
        from chassis.desk.postgres import PostgresDesk  # imported only where it is used, as above

        return PostgresDesk(settings.postgres, schema=name, clock=clock, before=directory)
    return SqliteDesk(directory, name, clock)


def read_store(settings: ServiceSettings, name: str) -> ReadStore:
    """The read store that the settings' URL names: PostgreSQL or MongoDB, else a SQLite file."""
    url = settings.read_store
    if not url:
        return SqliteReadStore(directory_of(settings, name) / "read.db")
    if url.startswith("postgresql://"):
        from chassis.read_store.postgres import PostgresReadStore  # imported only where it is used, as below

        return PostgresReadStore(url, schema=f"{name}_read")
    from chassis.read_store.mongo import MongoReadStore

    return MongoReadStore(url, database=f"entente_{name}")


def key_store(settings: ServiceSettings, name: str) -> KeyStore:
    """The store of keys that the settings name: PostgreSQL, else a SQLite file."""
    if not settings.key_store:
        return SqliteKeyStore(directory_of(settings, name) / KEYS_FILE)
    return _key_database(settings.key_store, name)


@contextmanager
def kept_keys(settings: ServiceSettings, name: str) -> Iterator[Kept]:
    """What copies of keys are made of, and brought back into."""
    if settings.key_store:
        with closing(_key_database(settings.key_store, name)) as database:
            database.open()
            yield database
    else:
        yield KeysFile(directory_of(settings, name))


def _key_database(url: str, name: str) -> KeyDatabase:
    from chassis.key_store.postgres import PostgresKeyStore  # imported only where it is used, as above

    return PostgresKeyStore(url, schema=f"{name}_keys")


def keys_of(settings: ServiceSettings, name: str) -> tuple[Keys, MasterKey | None]:
    """The service's keys, unlocked by a file, or locked until the KMS that the settings name unlocks them."""
    directory = directory_of(settings, name)
    if not settings.kms:
        return _by_file(settings, name), None
    from chassis.transit import Transit  # imported only where it is used, as above

    keys, plain = Keys(key_store(settings, name), None), settings.master_key or directory / MASTER_FILE
    kms = Transit.of(settings, name)
    return keys, MasterKey(keys, kms, plain=plain, check_seconds=settings.kms_check_seconds)


def _by_file(settings: ServiceSettings, name: str) -> Keys:
    master_key = settings.master_key
    if settings.key_store and not master_key:
        raise WrongSetting(
            f"{variable('key_store')} needs {variable('kms')} or {variable('master_key')} beside it: "
            "a master key that each process makes for itself would open nobody else's keys"
        )
    try:
        if settings.key_store and master_key:
            return Keys(key_store(settings, name), FileKeyWrapper(master_key))
        return Keys.in_directory(directory_of(settings, name), master_key)
    except (OSError, ValueError) as no:
        if master_key is None:
            raise
        raise WrongSetting(
            f"{variable('master_key')} cannot be used: it takes a file of 32 bytes, as `keys make` makes it"
        ) from no


def files_of(blueprint: Blueprint) -> dict[str, int]:
    """The paths at which the service takes files, with how large these may be."""
    imports = {blueprint.bulk.at: FILE_BYTES_MAX} if blueprint.bulk else {}
    return {**imports, **blueprint.files}


def handles_of(blueprint: Blueprint) -> tuple[Handles, ...]:
    """What the service can do, with what every service can."""
    return (
        *blueprint.handles,
        *parked.HANDLES,
        *EPOCHS,
        *(rulebook_api.rule_handles(blueprint.kinds) if blueprint.kinds else ()),
        *(bulk_api.HANDLES if blueprint.bulk else ()),
    )


def eyes_of(blueprint: Blueprint) -> Eyes:
    """How a shadow run reads the service's events."""
    return Eyes(explain={**blueprint.explain, **blueprint.briefly}, weigh=blueprint.weigh, tally=blueprint.tally)


def spread_of(blueprint: Blueprint, settings: ServiceSettings, handles: Sequence[Handles]) -> Spread | None:
    """How the service's shadow runs are spread over processes, where they are."""
    processes = min(settings.shadow_processes, len(os.sched_getaffinity(0)))
    if processes == 1 or not may_spread(blueprint, handles):
        return None
    return Spread(declared_in=blueprint.declared_in, settings=settings, processes=processes)


def may_spread(blueprint: Blueprint, handles: Iterable[Handles]) -> bool:
    """Whether it is known before of each command whom it concerns.

    Nobody knows it of one that is prepared again and not foreseen: it may write other streams than its record tells.
    """
    return bool(blueprint.declared_in) and all(one.foreseen or one.prepare is None for one in handles)


def assemble(blueprint: Blueprint, settings: ServiceSettings, world: World, ports: Any = None) -> Service:
    """Makes the service; nothing is opened yet."""
    directory = directory_of(settings, blueprint.name)
    directory.mkdir(parents=True, exist_ok=True)
    keys, master_key = keys_of(settings, blueprint.name)
    read = read_store(settings, blueprint.name)
    executor = Executor(event_store(settings, blueprint.name), handles_of(blueprint), world.clock, settings.queue_max)
    desk = desk_of(settings, blueprint.name, world.clock)
    application = Application(
        name=blueprint.name,
        executor=executor,
        clock=world.clock,
        keys=keys,
        master_key=master_key,
        read=read,
        access=Access({**SHARED_TABLE, **blueprint.access.table}),
        parked=parked.Orders(executor=executor, parking=desk.parking, now=world.clock.now),
        ports=ports,
        explain=blueprint.explain,
        kinds=blueprint.kinds,
        publish=blueprint.publish,
        disclose=blueprint.disclose,
        may_ask=blueprint.may_ask,
        source=blueprint.source,
        bulk=blueprint.bulk,
        files=files_of(blueprint),
        wait_seconds=settings.wait_seconds,
        body_bytes_max=settings.body_bytes_max,
    )
    service = Service(blueprint, settings, world, application, desk)
    world.neighbours[service.name] = service
    return service
