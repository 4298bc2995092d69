"""The shadow runs of one service: begun on request, a few at a time, their reports kept at the service's own desk."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NotRequired, Protocol, TypedDict

from chassis.afresh import FULL, RECORDED, MakeAfresh, Mode
from chassis.clock import Clock, SystemClock
from chassis.decider import Busy, NotFound
from chassis.event import frozen, iso
from chassis.execution import Handles
from chassis.shadow import Candidate, Eyes, Progress, Report, ShadowReport, Window, run
from chassis.shadow_spread import ShareLost, Spread
from chassis.store.port import EventStore
from chassis.supervision import log
from chassis.telemetry import Telemetry

RUNNING_MAX, RUNNING_IN_ALL_MAX = 2, 8
"""Runs that go on at once: of one tenant, and of all."""
CANDIDATE = "candidate"
"""Where a run that goes on keeps the rules that it tries: a draft may be another one by then."""
BEAT, PROGRESS = "beat_at", "progress"
"""What a run that goes on keeps for the other processes of its service: when it was last seen at work, and how far."""
BEAT_SECONDS, LOST_SECONDS = 10.0, 40.0
"""How often it says so, and after how long without a word its process is taken to be gone."""
KEEP_TRIES = 60
"""How often a report that is made is tried to be kept, a beat apart."""
FOUND = (CANDIDATE, BEAT, PROGRESS, "run_id", "status", "reason", "report")
"""What is kept of a run besides how it was asked for."""
LAST = "~"
"""Sorts after every instant and id."""
FRESH_SECONDS = 300
"""How old the report of a run that goes on may be while other things happen, before it is made again."""
RUNNING, READY, FAILED = "running", "ready", "failed"
Document = dict[str, Any]
Work = Callable[[Progress], Awaitable[Document]]


class Portion(TypedDict):
    done: int
    total: int


class RunState(TypedDict):
    """Where a run stands: `running` with its progress, `ready` with its report, `failed` with its reason.

    `asked_as` is what was asked for, such as a shadow run or a backtest.
    """

    run_id: str
    status: str
    asked_as: NotRequired[str]
    begun_at: NotRequired[str]
    progress: NotRequired[Portion]
    reason: NotRequired[str]


class ListedRun(RunState):
    """A run as it was asked for, without its report: ask for that by its id. Positions are those between which it looked.

    Mode: `recorded`, on what was looked up then, as runs of older releases are that name none; or `full`, looked up again.
    A `live` one goes on with what happens until it ends, at `ends_at`: its report is as of the instant `as_of`.
    """

    mode: NotRequired[Mode]
    kind: str
    rulebook_id: str
    version: int
    sha256: str
    from_at: str
    until_at: str
    after_position: int
    until_position: int
    live: NotRequired[bool]
    ends_at: NotRequired[str | None]
    as_of: NotRequired[str]


class ShadowRun(ListedRun):
    """A run as it was asked for, and its report once it is ready; else as it is listed."""

    report: NotRequired[ShadowReport]


@frozen
class Asked:
    """A run that somebody asked for. `asked` is how it was asked, to be shown beside its report."""

    run_id: str
    candidate: Candidate
    window: Window
    asked: Mapping[str, Any]
    mode: Mode = RECORDED


class KeptRuns(Protocol):
    """What is kept of each run, by tenant and id. Every change is durable when it returns."""

    async def keep(self, tenant: str, run_id: str, body: Document) -> None:
        """Keeps it in place of what was kept before."""

    async def kept(self, tenant: str, run_id: str) -> Document | None: ...

    async def listed(self, tenant: str, asked_as: str, before: Sequence[str], limit: int) -> list[Document]:
        """The runs asked for in one way, the newest first, that stand before an instant and id at which one was begun."""
        ...


class ShadowRuns:
    """Begins runs and answers what became of them, also of those that another process of the service works on.

    A run that its process did not live to finish has failed.
    """

    def __init__(  # noqa: PLR0913, PLR0917  as `run`, and what long runs may take
        self,
        keeping: KeptRuns,
        store: EventStore,
        handles: Sequence[Handles],
        eyes: Eyes,
        spread: Spread | None = None,
        afresh: Mapping[str, MakeAfresh] | None = None,
        streams_max: int = sys.maxsize,
        clock: Clock = SystemClock(),  # noqa: B008  of the machines, whatever a development clock says
    ) -> None:
        self._keeping, self._store, self._handles, self._eyes = keeping, store, handles, eyes
        self._streams_max, self._clock = streams_max, clock
        self._afresh = afresh or {}
        self._spread, self._spreading = spread, False
        self.telemetry: Telemetry | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tenants: dict[str, str] = {}
        self._begun: dict[str, tuple[Asked, Document]] = {}
        self._done: dict[str, tuple[int, int]] = {}

    def modes_of(self, kind: str) -> list[Mode]:
        """In which modes rules of a kind can be tried."""
        return [RECORDED, FULL] if kind in self._afresh else [RECORDED]

    async def begin(self, asked: Asked, work: Work | None = None, *, anew: bool = False) -> Document:
        """Begins the run unless it was begun before. Raises Busy when too many of the tenant, or of all, are going on.

        `work` makes another report than that of a shadow run, such as a backtest's. `anew` makes a report again that is
        there; until the new one is ready the old one stands.
        """
        tenant = asked.window.tenant
        known = await self._kept(tenant, asked.run_id)
        if asked.run_id in self._tenants or (known is not None and self._stands(known, anew=anew)):
            return self._now(known or _body(asked, {"status": RUNNING}))
        self._has_room(tenant)
        self._tenants[asked.run_id] = tenant
        try:
            before = {"report": known["report"]} if known and "report" in known else {}
            await self._keep(asked, self._at_work(asked, before))
        except BaseException:
            self._ended(asked.run_id)
            raise
        self._begun[asked.run_id] = asked, before
        task = self._running[asked.run_id] = asyncio.ensure_future(self._run(asked, work, before))
        task.add_done_callback(lambda _: self._ended(asked.run_id))
        return self._now(_body(asked, {"status": RUNNING, **before}))

    async def current(self, asked: Asked, now: datetime, work: Work | None = None) -> Document:
        """The report as of now: the one that is there if nothing happened since or it is fresh, else it is begun.

        `asked` names `as_of` and `until_position`. Where too many runs are going on, the report of before stands.
        """
        kept = await self._kept(asked.window.tenant, asked.run_id)
        known = self._now(kept) if kept else None
        if known and known["status"] == READY and _fresh(known, asked, now):
            return known
        try:
            return await self.begin(asked, work, anew=True)
        except Busy:
            if known is None:
                raise
            return known

    def _stands(self, known: Document, *, anew: bool) -> bool:
        """Whether nothing is to be begun: the report is there, or another process works on it."""
        return self._goes_on_elsewhere(known) or (known["status"] == READY and not anew)

    def _goes_on_elsewhere(self, known: Document) -> bool:
        seen = iso(self._clock.now() - timedelta(seconds=LOST_SECONDS))
        return bool(known["status"] == RUNNING and known.get(BEAT, "") > seen)

    def _at_work(self, asked: Asked, before: Document) -> Document:
        """What others are to know of a run that goes on here."""
        return {"status": RUNNING, **before, BEAT: iso(self._clock.now()), PROGRESS: self._portion(asked.run_id)}

    def _portion(self, run_id: str) -> Portion:
        done, total = self._done.get(run_id, (0, 0))
        return {"done": done, "total": total}

    def _has_room(self, tenant: str) -> None:
        mine = sum(one == tenant for one in self._tenants.values())
        if mine >= RUNNING_MAX or len(self._tenants) >= RUNNING_IN_ALL_MAX:
            raise Busy(f"{len(self._tenants)} shadow runs are going on, {mine} of them yours", retry_after_seconds=10)

    def _ended(self, run_id: str) -> None:
        self._running.pop(run_id, None)
        self._tenants.pop(run_id, None)
        self._begun.pop(run_id, None)

    async def find(self, tenant: str, run_id: str) -> Document:
        """The run with its progress, and its report once it is ready. Raises NotFound."""
        kept = await self._kept(tenant, run_id)
        if kept is None:
            raise NotFound
        return self._now(kept)

    async def going_on(self, tenant: str, run_id: str) -> Asked | None:
        """A run that goes on with what happens, as it was asked for; None for one that does not."""
        kept = await self._kept(tenant, run_id)
        if kept is None or CANDIDATE not in kept:
            return None
        asked = {name: value for name, value in kept.items() if name not in FOUND}
        rules, window = Candidate(**kept[CANDIDATE]), Window(tenant=tenant, after=0, until=0)
        return Asked(run_id=run_id, candidate=rules, window=window, asked=asked, mode=kept["mode"])

    def _now(self, kept: Document) -> Document:
        """A run as it stands: with its progress, or failed where the process that began it is gone."""
        told = {name: value for name, value in kept.items() if name not in (CANDIDATE, BEAT, PROGRESS)}
        if kept["status"] != RUNNING:
            return told
        if kept["run_id"] in self._tenants:
            return {**told, PROGRESS: self._portion(kept["run_id"])}
        if self._goes_on_elsewhere(kept):
            return {**told, PROGRESS: kept[PROGRESS]}
        return {**told, "status": FAILED, "reason": "interrupted"}

    async def listed(
        self, tenant: str, asked_as: str, limit: int, after: Sequence[str] | None = None
    ) -> tuple[list[Document], list[str] | None]:
        """The runs that were asked for in one way, the newest first, without their reports, and the place of the last one.

        There is no place on the last page.
        """
        rows = await self._keeping.listed(tenant, asked_as, after or (LAST, LAST), limit + 1)
        found = [self._now(row) for row in rows[:limit]]
        shown = [{name: value for name, value in one.items() if name != "report"} for one in found]
        return shown, [shown[-1]["begun_at"], shown[-1]["run_id"]] if len(rows) > limit else None

    async def finished(self, run_id: str) -> None:
        """Waits until a run that is going on has ended."""
        task = self._running.get(run_id)
        if task is not None:
            await asyncio.wait({task})

    async def stop(self) -> None:
        """Ends the runs that are going on, and says so to the other processes; asked for again they begin anew."""
        running, begun = dict(self._running), dict(self._begun)
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
        for run_id, task in running.items():
            if task.cancelled():
                asked, before = begun[run_id]
                await self._kept_now(asked, {"status": RUNNING, **before})  # else they find out by themselves

    async def _run(self, asked: Asked, work: Work | None, before: Document) -> None:
        beating = asyncio.ensure_future(self._beat(asked, before))
        try:
            found = await self._found(asked, work)
        finally:
            self._done.pop(asked.run_id, None)
            beating.cancel()
            await asyncio.wait({beating})
        for _ in range(KEEP_TRIES):
            if await self._kept_now(asked, found):
                return
            await self._clock.wait(BEAT_SECONDS)

    async def _found(self, asked: Asked, work: Work | None) -> Document:
        try:
            told = partial(self._told, asked.run_id)
            report = await work(told) if work else (await self.report(asked, told)).as_json()
        except Exception as error:  # noqa: BLE001  a run is somebody's question: whatever it meets is the answer
            log.exception("shadow_run_failed", run=asked.run_id)
            return {"status": FAILED, "reason": f"{type(error).__name__}: {error}"}
        return {"status": READY, "report": report}

    async def _beat(self, asked: Asked, before: Document) -> None:
        while True:
            await self._clock.wait(BEAT_SECONDS)
            await self._kept_now(asked, self._at_work(asked, before))

    def _told(self, run_id: str, done: int, total: int) -> None:
        self._done[run_id] = done, total

    async def report(self, asked: Asked, progress: Progress) -> Report:
        """The report of a run, computed now: of a long one in processes of its own, while no other has some."""
        if self._spread and self._spread.worth(asked.window, asked.mode) and not self._spreading:
            try:
                self._spreading = True
                return await self._spread.run(asked.candidate, asked.window, progress, asked.mode)
            except ShareLost as lost:
                if self.telemetry:
                    self.telemetry.not_spread()
                log.warning("shadow_run_not_spread", run=asked.run_id, reason=str(lost))
            finally:
                self._spreading = False
        afresh = self._afresh[asked.candidate.kind] if asked.mode == FULL else None
        given = self._store, self._handles, self._eyes, asked.candidate, asked.window
        return await run(*given, progress, afresh, self._streams_max)

    async def _keep(self, asked: Asked, found: Mapping[str, Any]) -> None:
        await self._keeping.keep(asked.window.tenant, asked.run_id, _body(asked, found))

    async def _kept_now(self, asked: Asked, found: Mapping[str, Any]) -> bool:
        """Whether it was kept. Whatever the database has against it, a run does not end of that."""
        try:
            await self._keep(asked, found)
        except Exception as error:  # noqa: BLE001  it is away, full or failing; others do not see the run either
            log.warning("shadow_run_not_kept", run=asked.run_id, exc_info=error)
            return False
        return True

    async def _kept(self, tenant: str, run_id: str) -> Document | None:
        kept = await self._keeping.kept(tenant, run_id)
        if kept is not None and kept["status"] == RUNNING and run_id not in self._tenants:
            kept = await self._keeping.kept(tenant, run_id)  # it may have ended while that was read
        return kept


def _body(asked: Asked, found: Mapping[str, Any]) -> Document:
    """What is kept of a run."""
    rules = {CANDIDATE: asdict(asked.candidate)} if asked.asked.get("live") else {}
    return {"run_id": asked.run_id, **asked.asked, **found, **rules}


def _fresh(known: Document, asked: Asked, now: datetime) -> bool:
    oldest = iso(now - timedelta(seconds=FRESH_SECONDS))
    return bool(known["until_position"] == asked.asked["until_position"] or known["as_of"] > oldest)
