"""What a service counts and measures, and the `/metrics` page in Prometheus's text form. One registry a service."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

APPEND_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Telemetry:
    """The figures of one service. Labels have few values: names of projections, groups and command types, never ids."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self.service = service
        self._lag = self._gauge("projection_lag_events", "Events not yet projected", "projection")
        self._parked = self._gauge("parked_messages", "Messages that were given up and wait for a person")
        self._witness = self._gauge("witness_lag_events", "Events without a leaf")
        self._commands = Counter(
            "entente_commands", "Commands by outcome", ("service", "outcome"), registry=self.registry
        )
        self._append = Histogram(
            "entente_append_seconds",
            "From append to flushed",
            ("service",),
            buckets=APPEND_SECONDS,
            registry=self.registry,
        ).labels(service)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"entente_{name}", what, ("service", *labels), registry=self.registry)

    def projection_lag(self, projection: str, events: int) -> None:
        """How far one projection is behind."""
        self._lag.labels(self.service, projection).set(events)

    def parked(self, count: int) -> None:
        """How many messages are parked."""
        self._parked.labels(self.service).set(count)

    def witness_lag(self, events: int) -> None:
        """How many events the witness has not yet seen."""
        self._witness.labels(self.service).set(events)

    def command(self, outcome: str) -> None:
        """Counts one command; outcome is accepted, nothing, repeated, or the slug of the problem."""
        self._commands.labels(self.service, outcome).inc()

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
