"""The runner of a service's projections, from the own store's feed and from the messages of other services.

All models that are up to date share one reading of the feed. A model that is far behind (a new version, a rebuild)
reads alone until it is near, then joins; a new version is filled beside the live one and swapped in. A model that meets
a bug stops where it is, alerts, and holds up nobody else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from chassis.error_text import without_values
from chassis.event import TYPES, Seen, frozen
from chassis.folding import change_of
from chassis.projection import Projection
from chassis.read_store.port import WHOLE, Aside, Birth, Model, ProjectionFailed, ReadStore, Retired
from chassis.settings import variable
from chassis.stops import Stop, Stops
from chassis.supervision import Backoff, log
from chassis.transport.port import Message, Outlet, Undecodable, read

Fact = Seen | Undecodable
ADDRESSES = variable("upstreams")
"""The setting that says where other services' feeds are read."""
TURN_EVENTS = 250
"""Events that are decoded before others of the event loop have their turn: a millisecond's work."""


class Log(Protocol):
    """The part of an event store that projections read; see `chassis.store.port.EventStore`."""

    async def feed(self, after: int, limit: int) -> Sequence[Any]: ...

    async def head(self) -> int: ...

    def recent(self, after: int) -> Sequence[Any]: ...

    async def wait_beyond(self, position: int, timeout: float) -> None: ...


@dataclass(frozen=True)
class FeedPage:
    """Public events of another service, and the position its reading has come to; the same as before at the end."""

    facts: Sequence[Fact]
    position: int


Feed = Callable[[int, int], Awaitable[FeedPage]]
"""`feed(after, limit)`: another service's public events of every tenant, in position order."""


@frozen
class ProjectingSettings:
    """The limits of one service's runner.

    `shared`: other processes may work on the same models. A message for which it is too early is then held: one that is
    passed would be lost where another process, which did not get it, calls the model filled.
    """

    batch_events: int = 2_000
    """Facts folded together and written in one commit."""
    fill_events: int = 4_000
    """The same for a model that is being filled and reads alone. Many more no longer fit the processor's caches."""
    near_events: int = 2_000
    """A model this near to the others joins them."""
    idle_seconds: float = 5.0
    """The longest wait for news before looking again."""
    poll_seconds: float = 0.05
    """How often it is looked how far others have come: models about to join the common reading, or another process."""
    hold_seconds: float = 60.0
    """How long a batch waits for its model to be filled before it is given back; well below the broker's patience."""
    shared: bool = False
    backoff: Backoff = field(default_factory=Backoff)


class ProjectionStopped(Exception):
    """A model has met a bug and cannot catch up from a feed later, so its messages are held."""


class StillFilling(Exception):
    """A model is being filled from a feed by perhaps several processes, so its messages are held until it is."""


class CannotRebuild(Exception):
    """There is no such model, or a source of it has no feed to read again."""


@frozen
class ProjectionLag:
    """How one version of a model stands. `behind` counts positions of the own feed, `filling` names unfilled lanes.

    `no_feed` are the services of those whose feeds nobody has said how to read: there it waits.
    """

    name: str
    model: str
    live: bool
    position: int
    head: int
    behind: int
    filling: tuple[str, ...]
    no_feed: tuple[str, ...]
    stopped: str | None
    incomplete: bool


class Running:
    """One version of a model while this process runs it."""

    def __init__(self, projection: Projection, model: Model, own_lane: str) -> None:
        self.projection = projection
        self.model = model.model
        self.own_lane = own_lane
        self.live = model.live
        self.incomplete = model.incomplete
        self.behind = set(model.behind)
        self.checkpoints = {lane: dict(tenants) for lane, tenants in model.checkpoints.items()}
        self.skipped: dict[str, int] = {}
        self.level = False
        self.stopped: str | None = None
        self.retired = False

    @property
    def name(self) -> str:
        return self.projection.name

    @property
    def position(self) -> int:
        """How far it has read the own feed."""
        return self.whole(self.own_lane)

    def whole(self, lane: str) -> int:
        """The position up to which a lane is applied for every tenant."""
        return self.checkpoints.get(lane, {}).get(WHOLE, 0)

    def highest(self, lane: str, tenant: str | None = None) -> int:
        """The last position applied of a lane, for one tenant or for any."""
        tenants = self.checkpoints.get(lane, {})
        if tenant is None:
            return max(tenants.values(), default=0)
        return max(tenants.get(WHOLE, 0), tenants.get(tenant, 0))

    def rise(self, lane: str, reached: Mapping[str, int]) -> None:
        tenants = self.checkpoints.setdefault(lane, {})
        for tenant, position in reached.items():
            tenants[tenant] = max(position, tenants.get(tenant, 0))

    def met(self, reason: str, lane: str, reached: Mapping[str, int]) -> Stop:
        """A bug on the way to the places `reached`. A tenant that was there already has nothing to go on with."""
        left_at = {tenant: self.highest(lane, tenant) for tenant in reached}
        beyond = {tenant: at for tenant, at in left_at.items() if at < reached[tenant]}
        return Stop(model=self.model, reason=reason, lane=lane, left_at=beyond)

    def stands_at(self, stop: Stop) -> bool:
        """Whether it has yet to go on from there."""
        return any(self.highest(stop.lane, tenant) == at for tenant, at in stop.left_at.items())

    @property
    def follows(self) -> bool:
        """Whether it takes part in the common reading of the own feed."""
        return bool(self.projection.own) and self.level and self.stopped is None

    @property
    def filled(self) -> bool:
        return self.stopped is None and not self.behind and (self.level or not self.projection.own)


class ProjectionRunner:
    """Runs the projections of one service. `run` goes to a supervised task; `apply` to the consumers.

    `feeds` reads other services' public events again from the start, by service; it may be filled until `prepare`.
    Without one for a source, the first version of a model hears of it what its consumers bring; a later one does not
    answer before it has one, because what the one before heard may be brought no more. `stops` tells other processes
    why a model stands.
    """

    def __init__(  # noqa: PLR0913  what it reads, what it keeps
        self,
        service: str,
        store: Log,
        read_store: ReadStore,
        projections: Iterable[Projection],
        *,
        feeds: Mapping[str, Feed] | None = None,
        settings: ProjectingSettings | None = None,
        stops: Stops | None = None,
    ) -> None:
        self.service = service
        self.stops = 0
        self._store = store
        self._read_store = read_store
        self._projections = {projection.name: projection for projection in projections}
        self._feeds = feeds if feeds is not None else {}
        self._settings = settings or ProjectingSettings()
        self._remembered = stops
        self._noted: Mapping[str, Stop] = {}
        self._ended = False
        self._running: list[Running] = []
        self._group: asyncio.TaskGroup | None = None
        self._head = 0
        self._progress = asyncio.Event()

    async def prepare(self) -> None:
        """Makes the models that are missing and finds out how far the others are. Queries work from here on."""
        if not self._running:
            answering = {model.name for model in await self._read_store.models() if model.live}
            self._running = [await self._make(each, "first", answering) for each in self._projections.values()]

    async def _make(self, projection: Projection, birth: Birth, answering: Collection[str]) -> Running:
        """The model, which if it is new has yet to be filled from every feed there is.

        One that is to take the place of another waits for the feeds that are missing too.
        """
        sources = projection.heard if projection.name in answering else projection.heard & self._feeds.keys()
        model = await self._read_store.prepare(
            projection.name,
            projection.version,
            projection.indexes,
            behind=[self._lane(source) for source in sources],
            birth=birth,
        )
        return Running(projection, model, self.service)

    def _lane(self, source: str) -> str:
        """Public events of the own service keep their own checkpoints: they are not the facts of the own feed."""
        return f"entente.{source}" if source == self.service else source

    def read_so_far(self, source: str) -> int:
        """The last position of a service that any of the models has applied; of the own service, of its feed."""
        return max((running.highest(source) for running in self._running), default=0)

    def applied(self, name: str, source: str) -> set[int]:
        """The positions up to which the newest version of a model has applied a service, its own or another, by tenants."""
        found = [running.checkpoints for running in self._running if running.name == name]
        lanes = {source, self._lane(source)}
        return {position for lane in lanes for one in found for position in one.get(lane, {}).values() if position}

    # The own feed

    async def run(self) -> None:
        """Follows the own feed and fills what is behind, until it is cancelled. An error of a store ends it."""
        await self.prepare()
        self._head = await self._store.head()
        self._ended = False
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for running in self._running:
                    self._start(running)
                self._tell()
                group.create_task(self._follow(), name="projections follow")
        finally:
            self._group, self._ended = None, True
            self._tell()

    def _start(self, running: Running) -> None:
        assert self._group is not None
        running.level = False
        self._group.create_task(self._catch_up(running), name=f"{running.model} catches up")
        for source in running.projection.heard & self._feeds.keys():
            if self._lane(source) in running.behind:
                self._group.create_task(self._fill(running, source), name=f"{running.model} from {source}")
        for source in self._without_feed(running):
            log.warning("no_feed", service=self.service, model=running.model, source=source, named_by=ADDRESSES)

    def _without_feed(self, running: Running) -> tuple[str, ...]:
        """The sources that it has to be filled from and cannot."""
        missing = running.projection.heard - self._feeds.keys()
        return tuple(sorted(source for source in missing if self._lane(source) in running.behind))

    async def _follow(self) -> None:
        while True:
            pause = self._pause()
            together = [running for running in self._running if running.follows]
            if not together:
                self._head = await self._store.head()
                await self._wait(pause)
                continue
            after = min(running.position for running in together)
            batch = await self._store.feed(after, self._settings.batch_events)
            if batch:
                wanted = frozenset[str]().union(*(running.projection.own for running in together))
                await self._take(together, await _page_of(batch, wanted, self.service))
            else:
                self._head = max(self._head, after)
                await self._store.wait_beyond(after, pause)

    def _pause(self) -> float:
        """How long the common reading rests where nothing is told: shortly while a model is about to join it."""
        joining = any(not one.level and one.stopped is None and one.projection.own for one in self._running)
        return self._settings.poll_seconds if joining else self._settings.idle_seconds

    async def _catch_up(self, running: Running) -> None:
        page: _Page | None = None
        while await self._is_far(running):
            page = page or await self._page(running, running.position)
            if page is None:
                break
            _, page = await asyncio.gather(self._take([running], page), self._following(running, page.end))
        await self._draw_level(running)
        running.level = running.stopped is None
        self._tell()
        await self._swap(running)

    async def _following(self, running: Running, after: int) -> "_Page | None":
        """The next page, read and decoded while this one is written: that has begun by the next turn of the loop."""
        await asyncio.sleep(0)
        return await self._page(running, after)

    async def _page(self, running: Running, after: int) -> "_Page | None":
        batch = await self._store.feed(after, self._settings.fill_events)
        return await _page_of(batch, running.projection.own, self.service) if batch else None

    async def _draw_level(self, running: Running) -> None:
        """Brings a new version to the present by itself: in a quiet store nothing would wake the common reading."""
        can_read = running.projection.own and not running.stopped and not running.live
        if can_read and (rest := await self._page(running, running.position)):
            await self._take([running], rest)

    async def _is_far(self, running: Running) -> bool:
        near = running.position + self._settings.near_events
        if near >= self._head:
            self._head = max(self._head, await self._store.head())
        can_read = running.projection.own and not running.stopped and not running.retired
        return bool(can_read) and near < self._head

    async def _take(self, together: Sequence[Running], page: "_Page") -> None:
        """Applies recorded events to the models, all of them in one commit of the read store."""
        self._head = max(self._head, page.end)
        wanted = _by_model(page.facts, together)
        await asyncio.gather(
            *(self._apply_own(one, mine, page.known_to) for one, mine in zip(together, wanted, strict=True))
        )
        for running in together:
            if page.unknown is not None:
                reason = f"type {page.unknown.type!r} at {page.unknown.position} is not known to this release"
                await self._stop(running, reason, self.service, {WHOLE: page.unknown.position})
            await self._swap(running)
        self._tell()

    async def _apply_own(self, running: Running, facts: Sequence[Fact], last: int) -> None:
        after = running.position
        if last > after:
            mine = [fact for fact in facts if fact.position > after]
            await self._change(running, self.service, mine, {WHOLE: last})

    async def _change(self, running: Running, lane: str, facts: Sequence[Fact], reached: Mapping[str, int]) -> None:
        """Writes one batch. A bug of the projection stops it; the batch is then not applied."""
        seen = [fact for fact in facts if isinstance(fact, Seen)]
        asides = [_aside(fact) for fact in facts if isinstance(fact, Undecodable)]
        try:
            change = change_of(running.projection, running.model, lane, seen, reached, asides)
            await self._read_store.change(change)
        except ProjectionFailed as failure:
            await self._stop(running, without_values(str(failure)), lane, reached)
        except Retired:
            self._retire(running)
        else:
            running.rise(lane, reached)
            running.incomplete = running.incomplete or bool(asides)

    async def _stop(self, running: Running, reason: str, lane: str, reached: Mapping[str, int]) -> None:
        if self._remembered:
            await self._remembered.note(running.met(reason, lane, reached))
        running.stopped, running.level = reason, False
        self.stops += 1
        log.error("projection_stopped", service=self.service, model=running.model, reason=reason)
        self._tell()

    def _retire(self, running: Running) -> None:
        running.retired, running.level = True, False
        if running in self._running:
            self._running.remove(running)

    # Other services

    async def apply(self, source: str, batch: Sequence[Fact], name: str | None = None) -> None:
        """Applies other services' messages, a tenant's in position order, to every model or to the one named.

        Raises ProjectionStopped, or the store's error, when the batch has to come again; what was applied is then
        dropped. `prepare` comes first.
        """
        if self._projections and not self._running:
            raise RuntimeError(f"the projections of {self.service} are not prepared")
        concerned = [r for r in self._running if source in r.projection.heard and name in (None, r.name)]
        if batch:
            await asyncio.gather(*(self._apply_public(running, source, batch) for running in concerned))
            self._tell()

    def apply_to(self, name: str) -> Callable[[str, list[Fact]], Awaitable[None]]:
        """`apply` for one model: what a consumer group of its own calls."""

        async def apply(source: str, batch: list[Fact]) -> None:
            await self.apply(source, batch, name)

        return apply

    async def _apply_public(self, running: Running, source: str, batch: Sequence[Fact]) -> None:
        lane = self._lane(source)
        if lane in running.behind and self._holds(running):
            await self._until_filled(running, lane)
        if lane not in running.behind and running.stopped is None:
            mine = [fact for fact in batch if _type(fact) in running.projection.public or not _type(fact)]
            reached = _reached(batch)
            await self._change(running, lane, mine, reached)
        if running.stopped is not None and lane not in running.behind:
            await self._leave_to_feed(running, source)
        if lane in running.behind:
            running.skipped[lane] = max(running.skipped.get(lane, 0), *(fact.position for fact in batch))

    def _holds(self, running: Running) -> bool:
        """Whether messages for which it is too early have to wait.

        Those for a version that is made again beside another do not: nobody else works on it, and the other needs them.
        """
        beside = any(other.name == running.name for other in self._running if other is not running)
        return self._settings.shared and not beside

    async def _until_filled(self, running: Running, lane: str) -> None:
        """Returns when the lane is filled. Raises StillFilling when that takes long, so that nobody waits for the batch."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.hold_seconds):
                while lane in running.behind and not (running.stopped or running.retired or self._ended):
                    await self._wait(self._settings.idle_seconds)
        if running.stopped is not None:
            raise ProjectionStopped(f"{running.model} is stopped: {running.stopped}")
        if lane in running.behind and not running.retired:
            raise StillFilling(f"{running.model} is not filled from the feed of {lane}")

    async def _leave_to_feed(self, running: Running, source: str) -> None:
        """A stopped model lets the messages pass only if it can read them again later."""
        if source not in self._feeds or self._holds(running):
            raise ProjectionStopped(f"{running.model} is stopped: {running.stopped}")
        running.behind.add(self._lane(source))
        await self._read_store.set_behind(running.model, self._lane(source), behind=True)

    async def _fill(self, running: Running, source: str) -> None:
        """Reads a source's feed until it meets what the consumers have brought meanwhile."""
        lane, failures = self._lane(source), 0
        while not running.stopped and not running.retired:
            try:
                page = await self._feeds[source](running.whole(lane), self._settings.batch_events)
            except Exception as error:  # noqa: BLE001  the other service is away or restarting; ours goes on
                failures += 1
                log.warning("feed_away", service=self.service, model=running.model, source=source, error=repr(error))
                await asyncio.sleep(self._settings.backoff.pause_seconds(failures))
                continue
            failures = 0
            if await self._filled_by(running, lane, page):
                break
        self._tell()
        await self._swap(running)

    async def _filled_by(self, running: Running, lane: str, page: FeedPage) -> bool:
        if page.position > running.whole(lane):
            mine = [fact for fact in page.facts if _type(fact) in running.projection.public]
            await self._change(running, lane, mine, {WHOLE: page.position})
            self._tell()
            return False
        if running.whole(lane) < running.skipped.get(lane, 0):
            await asyncio.sleep(self._settings.poll_seconds)
            return False
        # Nothing is awaited between the look above and this: from here on the consumers' messages count.
        running.behind.discard(lane)
        await self._read_store.set_behind(running.model, lane, behind=False)
        return True

    # Versions

    async def rebuild(self, name: str) -> str:
        """Fills the model anew beside the live one from the feeds, swaps it in, and answers its name.

        Raises CannotRebuild when a source has no feed, ProjectionStopped when the new one meets a bug.
        """
        projection = self._projections.get(name)
        if projection is None:
            raise CannotRebuild(f"{self.service} has no read model {name!r}: it has {', '.join(self._projections)}")
        if missing := sorted(projection.heard - self._feeds.keys()):
            raise CannotRebuild(
                f"{name} also reads the feeds of {', '.join(missing)}: {ADDRESSES} names their addresses"
            )
        if self._group is None:
            await self._wait(self._settings.idle_seconds)
        if self._group is None:
            raise CannotRebuild(f"the projections of {self.service} are not running")
        running = await self.begin_again(name)
        self._start(running)
        while not running.live:
            if running.stopped:
                raise ProjectionStopped(running.stopped)
            await self._wait(self._settings.idle_seconds)
        return running.model

    async def begin_again(self, name: str) -> Running:
        """Makes an empty version of the model beside the live one: who runs it next fills it and swaps it in."""
        running = await self._make(self._projections[name], "again", {name})
        self._running.append(running)
        return running

    async def _swap(self, running: Running) -> None:
        """Makes a filled version the live one, once it is as far as the one it replaces."""
        if running.live or not running.filled:
            return
        others = [other for other in self._running if other.name == running.name and other is not running]
        if running.position < max((other.position for other in others if other.live), default=0):
            return
        await self._read_store.go_live(running.model)
        running.live = True
        for other in others:
            self._retire(other)
        log.info("projection_live", service=self.service, model=running.model)
        self._tell()

    def resume(self, name: str) -> None:
        """Tries a stopped model again from where it stopped."""
        for running in [r for r in self._running if r.name == name and r.stopped is not None]:
            running.stopped = None
            if self._group is not None:
                self._start(running)

    # How far it is

    async def reached(
        self, model: str, source: str, position: int, timeout_seconds: float, tenant: str | None = None
    ) -> bool:
        """Waits until the model (all of them for "") has applied a source up to the position; False when time is over.

        What a model does not read, it has reached, and what this process records for others keeps nobody waiting. Without
        `tenant`, any tenant's progress of another service counts.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while not self._has(model, source, position, tenant):
                    await self._news()
        except TimeoutError:
            return False
        return True

    def _has(self, model: str, source: str, position: int, tenant: str | None) -> bool:
        asked = [running for running in self._running if running.live and model in ("", running.name)]
        if not asked:
            return False
        return all(
            self._is_there(running, lane, position, tenant)
            for running in asked
            for lane in self._lanes(running, source)
        )

    def _is_there(self, running: Running, lane: str, position: int, tenant: str | None) -> bool:
        at = running.highest(lane, tenant)
        return at >= position or (lane == self.service and self._reads_none_of(running, at, position))

    def _reads_none_of(self, running: Running, after: int, until: int) -> bool:
        """Whether this process recorded all that lies between, and nothing of it is for the model."""
        between = self._store.recent(after)
        known = bool(between) and between[0].position == after + 1 and between[-1].position >= until
        return known and not any(one.type in running.projection.own for one in between[: until - after])

    def _lanes(self, running: Running, source: str) -> list[str]:
        own = [self.service] if source == self.service and running.projection.own else []
        return own + ([self._lane(source)] if source in running.projection.heard else [])

    async def _news(self) -> None:
        if self._group is not None:
            await self._wait(self._settings.idle_seconds)
            return
        await asyncio.sleep(self._settings.poll_seconds)
        await self.look()

    async def look(self) -> None:
        """Takes over what another process has brought about, where this one does not run the projections itself."""
        if self._runs():
            return
        self._head = max(self._head, await self._store.head())
        models = await self._read_store.models()
        if self._runs():
            return  # it has begun meanwhile, and knows better than what the store said before
        self._noted = await self._remembered.noted() if self._remembered else {}
        there = {model.model for model in models}
        self._running = [running for running in self._running if running.model in there]
        for model in models:
            self._look_at(model)

    def _runs(self) -> bool:
        return self._group is not None

    def _look_at(self, model: Model) -> None:
        """Takes over how far another process has brought a model, and which one it has made live."""
        found = next((running for running in self._running if running.model == model.model), None)
        if found is not None:
            found.live, found.incomplete, found.behind = model.live, model.incomplete, set(model.behind)
            found.checkpoints = {lane: dict(tenants) for lane, tenants in model.checkpoints.items()}
        elif model.live and self._knows(model):
            self._running.append(Running(self._projections[model.name], model, self.service))

    def _knows(self, model: Model) -> bool:
        """Whether this release has the code of that version."""
        projection = self._projections.get(model.name)
        return projection is not None and projection.version == model.version

    def lag(self) -> list[ProjectionLag]:
        """How each version stands, for readiness, gauges and pages."""
        return [self._lag(running) for running in self._running]

    def _lag(self, running: Running) -> ProjectionLag:
        position = running.position if running.projection.own else self._head
        return ProjectionLag(
            name=running.name,
            model=running.model,
            live=running.live,
            position=position,
            head=self._head,
            behind=max(0, self._head - position),
            filling=tuple(sorted(running.behind)),
            no_feed=self._without_feed(running),
            stopped=running.stopped or self._stopped_elsewhere(running),
            incomplete=running.incomplete,
        )

    def _stopped_elsewhere(self, running: Running) -> str | None:
        """The bug that another process has met, where this one does not run the projections itself."""
        stop = None if self._runs() else self._noted.get(running.model)
        return stop.reason if stop and running.stands_at(stop) else None

    def _tell(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._progress.wait()
        except TimeoutError:
            return


@dataclass(frozen=True)
class _Page:
    """A batch of the feed, decoded: the facts up to the first event whose type this release does not know, and that event."""

    facts: Sequence[Fact]
    end: int
    unknown: Any | None

    @property
    def known_to(self) -> int:
        """The position up to which the facts are all that is wanted."""
        return self.end if self.unknown is None else self.unknown.position - 1


async def _page_of(batch: Sequence[Any], wanted: Container[str], source: str) -> _Page:
    """The wanted events, each decoded once for all the models that take them, and others given a turn on the way."""
    facts: list[Fact] = []
    for number, recorded in enumerate(batch, start=1):
        if recorded.type in wanted:
            facts.append(_decoded(recorded, source))
        elif recorded.type not in TYPES.classes:
            return _Page(facts, batch[-1].position, recorded)
        if number % TURN_EVENTS == 0:
            await asyncio.sleep(0)
    return _Page(facts, batch[-1].position, None)


def _decoded(recorded: Any, source: str) -> Fact:
    try:
        seen: Seen = recorded.seen(source)
    except (msgspec.MsgspecError, ValueError) as error:
        return Undecodable(
            source=source,
            tenant=recorded.tenant,
            stream=recorded.stream,
            position=recorded.position,
            reason=f"{recorded.type}: {without_values(str(error))}",
            message=_message(recorded),
        )
    return seen


def _message(recorded: Any) -> Message:
    return Message(id=recorded.id, type=recorded.type, source="", body=bytes(recorded.data))


_position = attrgetter("position")


def _by_model(facts: Sequence[Fact], together: Sequence[Running]) -> list[Sequence[Fact]]:
    """What each model wants of a page that holds what any of them wants, in position order."""
    if len(together) == 1:
        return [facts]
    by_type: dict[str, list[Fact]] = {}
    for fact in facts:
        by_type.setdefault(_type(fact), []).append(fact)
    wanted = (chain.from_iterable(by_type[name] for name in by_type if name in one.projection.own) for one in together)
    return [sorted(mine, key=_position) for mine in wanted]


def _type(fact: Fact) -> str:
    return fact.type if isinstance(fact, Seen) else fact.message.type


def _reached(batch: Sequence[Fact]) -> dict[str, int]:
    """How far each tenant is read. A message without a readable envelope says nothing about that."""
    reached: dict[str, int] = {}
    for fact in batch:
        if fact.tenant:
            reached[fact.tenant] = max(fact.position, reached.get(fact.tenant, 0))
    return reached


def _aside(fact: Undecodable) -> Aside:
    message = fact.message
    return Aside(
        source=fact.source,
        tenant=fact.tenant,
        position=fact.position,
        type=message.type,
        id=message.id or f"{message.topic}/{message.partition}/{message.offset}",
        reason=fact.reason,
        body=message.body,
    )


def feed_of(outlet: Outlet) -> Feed:
    """The feed of a service in the same process, read from its store through its own translation."""

    async def feed(after: int, limit: int) -> FeedPage:
        recorded = await outlet.store.feed(after, limit)
        messages = [message for message in map(outlet.translate, recorded) if message is not None]
        facts = [fact for fact in map(read, messages) if fact is not None]
        return FeedPage(facts, recorded[-1].position if recorded else after)

    return feed
