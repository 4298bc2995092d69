"""A shadow run spread over processes that live as long as it does: what it reports is what one process would report.

Each process works on one share (`chassis.shadow_share`); what they find is told here in the order of the log.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from heapq import merge
from itertools import combinations
from socket import socket, socketpair

from chassis.afresh import FULL, RECORDED, Mode
from chassis.event import frozen
from chassis.settings import ServiceSettings
from chassis.shadow import Candidate, Progress, Report, Window, keep_within
from chassis.shadow_share import Found, Link, Task, Told

SPREAD_FROM_POSITIONS = 20_000
"""A shorter window is run again before two processes are up."""
SILENT_SECONDS_MAX = 120.0
"""A share that says nothing for so long is given up."""


class ShareLost(Exception):
    """A process has ended, or fallen silent, before its share was done."""


@frozen
class Spread:
    """Over how many processes a run goes, and what they are told. `declared_in` is the module of the service's `BLUEPRINT`."""

    declared_in: str
    settings: ServiceSettings
    processes: int
    from_positions: int = SPREAD_FROM_POSITIONS

    def worth(self, window: Window, mode: Mode = RECORDED) -> bool:
        """Whether so much of the log is read that it is worth to begin processes for it."""
        return window.until - window.begins(mode) >= self.from_positions

    async def run(self, candidate: Candidate, window: Window, progress: Progress, mode: Mode = RECORDED) -> Report:
        """As `chassis.shadow.run`. Raises TooDifferent, and ShareLost, when what is lost is only time.

        A full run has one process to itself: what a command is prepared with again says only then whom it concerns.
        """
        # Their fields alone: a service's own class of settings may be one of the program that was started.
        given = {name: getattr(self.settings, name) for name in ServiceSettings.model_fields}
        settings = ServiceSettings.model_construct(**given)
        task = Task(declared_in=self.declared_in, settings=settings, candidate=candidate, window=window, mode=mode)
        try:
            async with _working(1 if mode == FULL else self.processes, task) as links:
                return await Merged(links, window, progress, mode, settings.shadow_streams_max).report()
        except (EOFError, OSError, TimeoutError) as lost:
            raise ShareLost(f"{type(lost).__name__}: {lost}") from lost


class Merged:
    """What the shares found, told in the order of the log as far as all of them have come."""

    def __init__(
        self,
        links: Sequence[Link],
        window: Window,
        progress: Progress,
        mode: Mode = RECORDED,
        streams_max: int = sys.maxsize,
    ) -> None:
        self._links, self._window, self._progress, self._streams_max = links, window, progress, streams_max
        self._report = Report()
        self._begins = window.begins(mode)
        self._reached = [self._begins] * len(links)
        self._apart = [0] * len(links)
        self._told: list[deque[Told]] = [deque() for _ in links]

    async def report(self) -> Report:
        """The report of all, once each share has told its last."""
        hearing = [asyncio.ensure_future(self._hear(number, link)) for number, link in enumerate(self._links)]
        try:
            await asyncio.gather(*hearing)
        finally:
            for one in hearing:
                one.cancel()
        return self._report

    async def _hear(self, number: int, link: Link) -> None:
        last = False
        while not last:
            async with asyncio.timeout(SILENT_SECONDS_MAX):
                found: Found = await link.hear()
            self._reached[number], self._apart[number] = found.reached, found.apart
            keep_within(sum(self._apart), self._streams_max)
            self._told[number].extend(found.told)
            if last := found.sums is not None:
                self._report.add(found.sums)
            self._tell()

    def _tell(self) -> None:
        reached = min(self._reached)
        for _, canonical, row in merge(*(_up_to(reached, told) for told in self._told), key=_position):
            self._report.tell(canonical, row)
        self._progress(reached - self._begins, self._window.until - self._begins)


def _up_to(position: int, told: deque[Told]) -> list[Told]:
    found = []
    while told and told[0][0] <= position:
        found.append(told.popleft())
    return found


def _position(told: Told) -> int:
    return told[0]


@asynccontextmanager
async def _working(count: int, task: Task) -> AsyncIterator[list[Link]]:
    """So many processes at work on the task, each linked to here; they are ended behind the block."""
    async with AsyncExitStack() as ending:
        with ExitStack() as theirs:
            here = [_pair(theirs) for _ in range(count)]
            between = {pair: tuple(map(theirs.enter_context, socketpair())) for pair in combinations(range(count), 2)}
            for number, (_, parent_end) in enumerate(here):
                ends = {
                    other: ends[pair.index(number)].fileno()
                    for pair, ends in between.items()
                    if number in pair
                    for other in pair
                    if other != number
                }
                process = await _begun(number, parent_end.fileno(), ends)
                ending.push_async_callback(_ended, process)
        links = []
        for ours, _ in here:
            link = await Link.over(ours)
            ending.callback(link.close)
            link.say(task)
            links.append(link)
        yield links


def _pair(theirs: ExitStack) -> tuple[socket, socket]:
    ours, other = socketpair()
    theirs.enter_context(other)
    return ours, other


async def _begun(number: int, parent_end: int, ends: dict[int, int]) -> Process:
    """A process that finds the same modules as this one."""
    begin = f"from chassis.shadow_worker import main; main({number}, {parent_end}, {ends})"
    program = f"import sys; sys.path[:] = {sys.path}; {begin}"
    given = (parent_end, *ends.values())
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=DEVNULL, stdout=DEVNULL, pass_fds=given, start_new_session=True
    )


async def _ended(process: Process) -> None:
    """Ends the process, which has nothing to finish: it only reads."""
    if process.returncode is None:
        process.kill()
    await process.wait()
