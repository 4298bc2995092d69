"""Deadlines: documents with a due date, and the ticker that issues their commands when the clock has passed it.

The stream decides whether a deadline is still due; the command's id comes from the deadline and its due date, so
however often it is issued, it counts once. Where one subject may be due twice at one instant (the clock need not move
between two offers of one lead), its documents say for which event: `turn`. Nothing sleeps on a business date: the ticker
looks, a moved clock wakes it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chassis.clock import Clock
from chassis.decider import Behind, Busy
from chassis.event import frozen, iso, stable_id
from chassis.projection import Projection
from chassis.read_store.port import FIRST, TURN, Due, DuePlace, ReadStore
from chassis.supervision import Backoff, log

DUE_AT = "due_at"


@dataclass(frozen=True, kw_only=True, eq=False)
class Deadline(Projection):
    """A projection whose documents say what is due when: `{"due_at": iso(...), ...}`, None once it is settled.

    With `{"turn": seen.id}` besides, what is due twice at the same instant is two commands.

    `issue(document, now)` makes the command, or a function of a `Peek` or an `application.Prepared` that does; None means
    there is nothing to do for this due date.
    """

    issue: Callable[[Any, datetime], Any]
    indexes: tuple[str, ...] = (DUE_AT,)

    def command_id(self, due: Due) -> str:
        """The same deadline at the same due date, in the same turn where it tells one, is the same command."""
        turn = (due.document[TURN],) if TURN in due.document else ()
        return stable_id("deadline", self.name, due.tenant, due.id, due.due_at, *turn)


Issue = Callable[[str, str, Any], Awaitable[Any]]
"""`issue(tenant, command_id, command)` runs it. Returning settles this due date, raising tries again."""


@frozen
class TickerSettings:
    """The limits of one service's ticker."""

    poll_seconds: float = 0.2
    batch_commands: int = 200
    """Commands of one deadline before the next deadline has its turn."""
    side_by_side: int = 16
    failing_max: int = 5_000
    """Commands that failed and wait for another try; beyond it they are tried in every round."""
    backoff: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.5, most_seconds=60.0))


class Ticker:
    """Issues what is due, for every tenant. Two at once are harmless; `run` goes to a supervised task."""

    def __init__(
        self,
        read_store: ReadStore,
        deadlines: Iterable[Deadline],
        clock: Clock,
        issue: Issue,
        settings: TickerSettings | None = None,
    ) -> None:
        self.issued = 0
        self._read_store = read_store
        self._deadlines = tuple(deadlines)
        self._clock = clock
        self._issue = issue
        self._settings = settings or TickerSettings()
        self._places = asyncio.Semaphore(self._settings.side_by_side)
        self._failing: dict[str, tuple[int, float]] = {}
        self._seen: dict[str, DuePlace] = {}
        """How far the round of a deadline has come that looks at all that is due, a batch at a time."""

    async def run(self) -> None:
        """Looks for due deadlines until it is cancelled."""
        while True:
            if not await self.tick():
                await self._clock.wait(self._settings.poll_seconds)

    async def tick(self) -> int:
        """Looks at what is due now, at most a batch of each deadline, and answers how many commands were settled.

        The next tick goes on behind it, so that many that wait for another try hold up none.
        """
        now = self._clock.now()
        until = _until(now)
        # Asked at once: where the store lies outside this process, all of them are one journey.
        asked = (self._next(deadline.name, until) for deadline in self._deadlines)
        found = zip(self._deadlines, await asyncio.gather(*asked, return_exceptions=True), strict=True)
        settled, failures = 0, []
        for deadline, due in found:
            if isinstance(due, BaseException):
                failures.append(due)
            elif due:
                settled += await self._settle(deadline, due, now)
        if failures:  # once the others have been seen to
            raise failures[0]
        return settled

    async def _next(self, name: str, until: str) -> list[Due]:
        most = self._settings.batch_commands
        found = await self._read_store.due(name, until, most, self._seen.pop(name, FIRST))
        if len(found) == most:
            self._seen[name] = found[-1].place
        return found

    async def _settle(self, deadline: Deadline, found: Sequence[Due], now: datetime) -> int:
        batch = [due for due in found if _instant(due.due_at) <= now and self._may_try(deadline.command_id(due))]
        done = await asyncio.gather(*(self._try(deadline, due, now) for due in batch))
        settled = [due for due, is_done in zip(batch, done, strict=True) if is_done]
        if settled:
            await self._read_store.mark_issued(deadline.name, settled)
        self.issued += len(settled)
        return len(settled)

    async def _try(self, deadline: Deadline, due: Due, now: datetime) -> bool:
        """Whether the due date is settled. A failure is logged and tried again later; it holds up no other.

        That somebody is busy is no failure: its time comes. Who has waited for a read model comes again at once to wait on.
        """
        command_id = deadline.command_id(due)
        async with self._places:
            try:
                command = deadline.issue(due.document, now)
                if command is not None:
                    await self._issue(due.tenant, command_id, command)
            except Busy as busy:
                log.info("deadline_put_off", deadline=deadline.name, tenant=due.tenant, id=due.id, why=busy.detail)
                self._failed(command_id, in_a_row=not isinstance(busy, Behind))
                return False
            except Exception:  # noqa: BLE001  whatever one command meets, the others are due as well
                log.exception("deadline_failed", deadline=deadline.name, tenant=due.tenant, id=due.id)
                self._failed(command_id)
                return False
        self._failing.pop(command_id, None)
        return True

    def _failed(self, command_id: str, *, in_a_row: bool = True) -> None:
        failures = self._failing.get(command_id, (0, 0.0))[0] + 1 if in_a_row else 1
        if len(self._failing) < self._settings.failing_max or command_id in self._failing:
            again = asyncio.get_running_loop().time() + self._settings.backoff.pause_seconds(failures)
            self._failing[command_id] = (failures, again)

    def _may_try(self, command_id: str) -> bool:
        return self._failing.get(command_id, (0, 0.0))[1] <= asyncio.get_running_loop().time()


def _until(now: datetime) -> str:
    """The text up to which due dates may be due: within its second, `…00.5Z` sorts before `…00Z`."""
    return iso(now.replace(microsecond=0))


def _instant(due_at: str) -> datetime:
    found = datetime.fromisoformat(due_at)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
