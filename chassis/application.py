"""What routes and reactions of one service stand on: commands in, documents out, and the ports the service named."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from chassis.access import Access, sees
from chassis.clock import Clock
from chassis.decider import Behind, NotFound, Problem, stream_name
from chassis.event import Actor, PublicEvent, Sealed, Seen, stable_id
from chassis.execution import Executor, Order, Outcome, Peek
from chassis.identity import Principal
from chassis.keys import Keys
from chassis.master_key import MasterKey
from chassis.parked import Orders
from chassis.read_store.port import ReadStore
from chassis.rulebook import Kind
from chassis.shadow_runs import ShadowRuns
from chassis.store.port import Recorded

CATCH_UP_SECONDS, PATIENT_SECONDS = 1.0, 10.0
"""How long a request, and how long a reaction, waits for a read model before it is to come again."""
Explain = Callable[[Seen], Any]
Reaction = Callable[[Seen, "Application"], Awaitable[None]]
Publish = Callable[[Seen], PublicEvent | None]
MayAsk = Callable[["Application", Principal, Seen], Awaitable[bool]]
Source = Callable[["Application", Seen, dict[str, Any]], Awaitable[dict[str, Any]]]


class NothingToDo(Exception):
    """Raised while a deadline's command is prepared: there is none, and nothing is recorded."""


@dataclass(frozen=True)
class Prepared:
    """A command of a deadline that is prepared with what the service can read: `make(app, tenant, peek)`.

    What it reads may tell that there is nothing to command: then `make` raises NothingToDo.
    """

    make: Callable[["Application", str, Peek], Awaitable[Any]]


@dataclass(kw_only=True)
class Application:
    """One service as its routes and reactions see it. `ports` holds the service's own adapters.

    `disclose` is what of an explanation a partner may read; `may_ask` whether a partner may ask why something happened,
    where its public form does not say; `source` finds the event that an input of an explanation came from, where the
    decision did not know it; `together_max` the most events that one command records;
    `bulk` are the imports that it takes; `files` the paths at which it takes files, with how large these may be;
    `standing` names the read models that met a bug and stand;
    `catch_up_seconds` is how long a command waits for what it reads of a read model;
    `told` answers the position of the last event that a neighbour told a tenant, up to one of its positions;
    `master_key` is what unlocks the keys, where a KMS keeps it; `passing` seals what nobody records.
    """

    name: str
    executor: Executor
    clock: Clock
    keys: Keys
    read: ReadStore
    access: Access
    parked: Orders
    ports: Any = None
    explain: Mapping[type[Any], Explain] = field(default_factory=dict)
    kinds: Mapping[str, Kind[Any, Any]] = field(default_factory=dict)
    publish: Publish | None = None
    disclose: Callable[[Any], Any] = lambda decision: decision
    may_ask: Mapping[type[Any], MayAsk] = field(default_factory=dict)
    source: Source | None = None
    together_max: int = 600
    wait_seconds: float
    catch_up_seconds: float = CATCH_UP_SECONDS
    body_bytes_max: int
    reached: Callable[[str, str, int, float, str | None], Awaitable[bool]] | None = None
    standing: Callable[[], frozenset[str]] = frozenset
    told: Callable[[str, str, int], Awaitable[int]] | None = None
    proof: Callable[[str], Awaitable[dict[str, Any]]] | None = None
    covering: Callable[[Sequence[Recorded]], Awaitable[dict[str, Any]]] | None = None
    shadow_runs: ShadowRuns | None = None
    bulk: Any = None
    files: Mapping[str, int] = field(default_factory=dict)
    master_key: MasterKey | None = None
    passing: bool = False

    async def has_read(self, model: str, source: str, position: int, tenant: str, seconds: float) -> bool:
        """Waits until the model holds what a source had recorded up to a position; False when the time is over.

        Another service tells only what is public, so its position is first brought back to the last one that it told.
        """
        if self.reached is None or (source != self.name and self.told is None):
            return True
        if (
            source != self.name
            and self.told is not None
            and not await self.reached(model, source, position, 0.0, tenant)
        ):
            position = await self.told(tenant, source, position)
        return await self.reached(model, source, position, seconds, tenant)

    async def caught_up(self, model: str) -> None:
        """Waits until a read model has seen all that is recorded here. Raises Behind when it does not in time, or stands."""
        head = await self.executor.store.head()
        if self.reached is None or await self.reached(model, self.name, head, 0.0, None):
            return
        seconds = 0.0 if model in self.standing() else self.catch_up_seconds
        if not await self.reached(model, self.name, head, seconds, None):
            raise Behind(f"{model} has not read the log up to {head}")

    def patient(self) -> "Application":
        """The same for whoever can wait longer than a request, whose caller waits too.

        One that comes again asks how far the log is by then: a read model that stays a little behind a log that goes on
        would never be there in time.
        """
        return replace(self, catch_up_seconds=PATIENT_SECONDS)

    async def react(self, seen: Seen, reaction: str, make: Any) -> Outcome | None:
        """Runs the command of a reaction; the same event again finds the first answer. A refusal is recorded: done."""
        try:
            return await self.executor.run(self.order_of(seen, reaction), make)
        except Problem as refusal:
            if refusal.recorded:
                return None
            raise

    def order_of(self, seen: Seen, reaction: str) -> Order:
        """The order of a reaction: its id comes from the event, its cause is the event, the service acts."""
        return Order(
            command_id=stable_id(seen.id, reaction, seen.stream),
            tenant=seen.tenant,
            actor=Actor(kind="service", subject=self.name),
            correlation_id=seen.correlation_id or seen.id,
            causation_id=seen.id,
            traceparent=seen.traceparent,
        )

    async def issue(self, tenant: str, command_id: str, command: Any) -> Outcome | None:
        """Runs a command that the service gives itself: a deadline that passed, a worker's finding. Refused is done.

        Nobody waits for its answer, so it is patient.
        """
        order = Order(
            command_id=command_id,
            tenant=tenant,
            actor=Actor(kind="service", subject=self.name),
            correlation_id=command_id,
        )
        make = partial(command.make, self.patient(), tenant) if isinstance(command, Prepared) else command
        try:
            return await self.executor.run(order, make)
        except NothingToDo:
            return None
        except Problem as refusal:
            if refusal.recorded:
                return None
            raise

    async def document(self, principal: Principal, model: str, identity: str) -> dict[str, Any]:
        """One document that the principal may see. Raises NotFound alike for what is not there and what is not theirs."""
        found = await self.read.get(model, principal.tenant, identity)
        if found is None or not sees(principal, found):
            raise NotFound
        return found

    async def exists(self, tenant: str, kind: str, identity: str) -> None:
        """Raises NotFound when the stream has no events."""
        if not await self.executor.store.load(stream_name(tenant, kind, identity)):
            raise NotFound

    def seal(self, tenant: str, subject: str, text: str) -> Sealed:
        """Personal text in the form that is stored."""
        seal = self.keys.seal_in_passing if self.passing else self.keys.seal
        return seal(tenant, subject, text)

    def in_passing(self) -> "Application":
        """The same for a question of which no sealed text is recorded: it leaves no key behind."""
        return replace(self, passing=True)

    def opened(self, tenant: str, value: Any) -> Any:
        """The JSON value with sealed texts opened; None where the subject's key is destroyed."""
        if isinstance(value, dict):
            if value.keys() == {"subject", "box"}:
                return self.keys.open(tenant, Sealed(subject=value["subject"], box=value["box"]))
            return {name: self.opened(tenant, part) for name, part in value.items()}
        return [self.opened(tenant, part) for part in value] if isinstance(value, list) else value
