"""Spans made with OpenTelemetry and sent to a collector by OTLP over HTTP. Imported only where tracing is on.

Each service has a provider of its own, so that one process with five services shows as five; all share one exporter.
"""

import re
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from chassis.decider import Problem
from chassis.tracing import CONSUMER, INTERNAL, PRODUCER, SERVER

KINDS = {
    SERVER: SpanKind.SERVER,
    PRODUCER: SpanKind.PRODUCER,
    CONSUMER: SpanKind.CONSUMER,
    INTERNAL: SpanKind.INTERNAL,
}
CONTEXT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
LINKS_MAX = 8
QUEUE_SPANS_MAX = 4_096
EXPORT_SPANS_MAX = 512


def to_collector(endpoint: str, percent: float, stop_seconds: float) -> "OpenTelemetry":
    """Spans to an OTLP endpoint (`http://collector:4318/v1/traces`), of so many in a hundred traces.

    Spans that the collector does not take in time are dropped: tracing never holds up what it looks at.
    """
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=stop_seconds)
    sending = BatchSpanProcessor(exporter, max_queue_size=QUEUE_SPANS_MAX, max_export_batch_size=EXPORT_SPANS_MAX)
    return OpenTelemetry(sending, percent)


class OpenTelemetry:
    """The tracers of one process. A trace that came with a decision whether to keep it keeps to it."""

    def __init__(self, processor: SpanProcessor, percent: float) -> None:
        self._processor = processor
        self._sampler = ParentBased(TraceIdRatioBased(percent / 100))
        self._tracers: dict[str, OpenTelemetryTracer] = {}

    def of(self, service: str) -> "OpenTelemetryTracer":
        if service not in self._tracers:
            resource = Resource.create({"service.name": f"entente-{service}", "service.namespace": "entente"})
            provider = TracerProvider(sampler=self._sampler, resource=resource, shutdown_on_exit=False)
            provider.add_span_processor(self._processor)
            self._tracers[service] = OpenTelemetryTracer(provider.get_tracer(f"entente.{service}"))
        return self._tracers[service]

    def close(self) -> None:
        self._processor.shutdown()


class OpenTelemetryTracer:
    """Makes the spans of one service."""

    on = True

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def span(
        self, name: str, parent: str | None, *, kind: str = INTERNAL, links: Iterable[str | None] = ()
    ) -> "OpenSpan":
        context = context_of(parent)
        above = trace.set_span_in_context(NonRecordingSpan(context)) if context else Context()
        return OpenSpan(self._tracer.start_span(name, above, KINDS[kind], links=_links(links, context)))


def _links(contexts: Iterable[str | None], beneath: SpanContext | None) -> list[Link]:
    """Each context once, but those of the trace that the span is of anyway."""
    found = [context for text in dict.fromkeys(contexts) if (context := context_of(text))]
    return [Link(one) for one in found if beneath is None or one.trace_id != beneath.trace_id][:LINKS_MAX]


def context_of(traceparent: str | None) -> SpanContext | None:
    """The span context that a `traceparent` names; None for anything else."""
    found = CONTEXT.fullmatch(traceparent or "")
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))


class OpenSpan:
    """A span that is being measured."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent: str | None = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Ends it. A refusal is an answer; anything else that is raised is told by its type, never by its text."""
        if isinstance(error, Problem):
            self.note(entente__outcome=error.slug)
        elif error is not None:
            self.failed(type(error).__name__)
        self._span.end()

    def name(self, text: str) -> None:
        self._span.update_name(text)

    def note(self, **attributes: Any) -> None:
        self._span.set_attributes({name.replace("__", "."): value for name, value in attributes.items()})

    def failed(self, why: str) -> None:
        self._span.set_attribute("error.type", why)
        self._span.set_status(StatusCode.ERROR)
