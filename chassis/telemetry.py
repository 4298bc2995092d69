"""What a service counts and measures, and the `/metrics` page in Prometheus's text form. One registry a service."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

F = TypeVar("F", Counter, Histogram)
APPEND_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
REQUEST_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Telemetry:
    """The figures of one service. Labels have few values: names of projections, groups and command types, never ids."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self._ones: dict[tuple[Any, ...], Any] = {}
        self.service = service
        self._lag = self._gauge("projection_lag_events", "Events not yet projected", "projection")
        self._parked = self._gauge("parked_messages", "Messages that were given up and wait for a person")
        self._stopped = self._gauge("projection_stopped", "1 where a read model met a bug and stands", "projection")
        self._incomplete = self._gauge(
            "projection_incomplete", "1 where a read model misses a message that could not be read", "projection"
        )
        self._no_feed = self._gauge(
            "projection_no_feed", "Services that a read model waits for and whose addresses nobody named", "projection"
        )
        self._locked = self._gauge("keys_locked", "1 where the KMS keeps the keys of personal text locked")
        self._keys_away = self._gauge("keys_away", "1 where what keeps the keys of personal text does not answer")
        self._kms = self._gauge("kms_failing", "1 where the KMS was away or refused when it was asked last")
        self._witness = self._gauge("witness_lag_events", "Events without a leaf")
        self._consumer_lag = self._gauge("consumer_lag_messages", "Messages not yet consumed", "group", "topic")
        self._refused = self._gauge(
            "consumer_refused", "1 where the broker does not let a group read", "group", "topic"
        )
        self._relay_age = self._gauge("relay_age_seconds", "Age of the oldest event that the broker does not have yet")
        self._commands = self._counter("commands", "Commands by outcome", "outcome")
        self._conflicts = self._counter("conflicts", "Commits that another one came before")
        self._not_spread = self._counter("shadow_runs_not_spread", "Shadow runs whose own processes were lost")
        self._events = self._counter("events", "Events recorded by commands of this process", "type")
        self._append = self._histogram("append_seconds", "From append to flushed", APPEND_SECONDS).labels(service)
        self._requests = self._histogram(
            "request_seconds", "Requests by the class of their status", REQUEST_SECONDS, "method", "status"
        )

    def _one(self, family: F, *labels: str) -> F:
        """The series of these labels, remembered: looking it up in its family takes ten times as long as counting."""
        found: F | None = self._ones.get((family, labels))
        if found is None:
            found = self._ones[family, labels] = family.labels(self.service, *labels)
        return found

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"entente_{name}", what, ("service", *labels), registry=self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"entente_{name}", what, ("service", *labels), registry=self.registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"entente_{name}", what, ("service", *labels), buckets=buckets, registry=self.registry)

    def projection_lag(
        self, projection: str, events: int, *, stopped: bool = False, incomplete: bool = False, no_feed: int = 0
    ) -> None:
        """How far one projection is behind, and what holds it there or spoils it.

        A bug, a message that could not be read, or services to be filled from whose addresses nobody named.
        """
        self._lag.labels(self.service, projection).set(events)
        self._stopped.labels(self.service, projection).set(stopped)
        self._incomplete.labels(self.service, projection).set(incomplete)
        self._no_feed.labels(self.service, projection).set(no_feed)

    def forget_projections(self) -> None:
        """Lets go of what was told of projections: a version that is there no more would stand as it was told last."""
        for family in (self._lag, self._stopped, self._incomplete, self._no_feed):
            family.clear()

    def consumer_lag(self, group: str, topic: str, messages: int, *, refused: bool = False) -> None:
        """How many messages of a topic one group has yet to finish, and whether the broker refuses them to it.

        Of those that this process is to bring it.
        """
        self._consumer_lag.labels(self.service, group, topic).set(messages)
        self._refused.labels(self.service, group, topic).set(refused)

    def relay_age(self, seconds: float) -> None:
        """For how long the oldest event has waited that the relay of this process has yet to send; 0 for none."""
        self._relay_age.labels(self.service).set(seconds)

    def parked(self, count: int) -> None:
        """How many messages are parked."""
        self._parked.labels(self.service).set(count)

    def keys(self, *, locked: bool, failing: bool) -> None:
        """Whether the keys of personal text are locked, and whether the KMS failed when it was asked last."""
        self._locked.labels(self.service).set(locked)
        self._kms.labels(self.service).set(failing)

    def keys_away(self, *, away: bool) -> None:
        """Whether what keeps the keys of personal text does not answer."""
        self._keys_away.labels(self.service).set(away)

    def witness_lag(self, events: int) -> None:
        """How many events the witness has not yet seen."""
        self._witness.labels(self.service).set(events)

    def command(self, outcome: str) -> None:
        """Counts one command; outcome is accepted, nothing, repeated, or the slug of the problem."""
        self._one(self._commands, outcome).inc()

    def conflict(self) -> None:
        """Counts one commit that lost a race."""
        self._conflicts.labels(self.service).inc()

    def not_spread(self) -> None:
        """Counts one shadow run that went on without the processes it was given."""
        self._not_spread.labels(self.service).inc()

    def recorded(self, type_name: str) -> None:
        """Counts one event that a command recorded, by its type."""
        self._one(self._events, type_name).inc()

    def request(self, method: str, status: int, seconds: float) -> None:
        """Measures one request by method and class of status, such as 2xx."""
        self._one(self._requests, method, f"{status // 100}xx").observe(seconds)

    @contextmanager
    def append(self) -> Iterator[None]:
        """Measures one append, also one that fails."""
        started = perf_counter()
        try:
            yield
        finally:
            self._append.observe(perf_counter() - started)

    def text(self) -> bytes:
        """All figures in Prometheus's text form."""
        return generate_latest(self.registry)
