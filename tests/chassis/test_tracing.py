"""Spans: what they say, what they never tell, and that tracing which is off is not there."""

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from chassis.asgi import Answer, body_of, request_scope
from chassis.decider import Refused
from chassis.spans import OpenTelemetry, OpenTelemetryTracer, context_of
from chassis.testing.feed import MemoryFeed, outlet
from chassis.tracing import UNTRACED, Traced, serving
from chassis.transport.port import sending, translated
from tests.architecture.tree import ROOT

ABOVE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ELSEWHERE = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> OpenTelemetryTracer:
    return OpenTelemetry(SimpleSpanProcessor(exporter), percent=100).of("registration")


def test_a_span_stands_beneath_the_context_that_it_was_given(
    tracer: OpenTelemetryTracer, exporter: InMemorySpanExporter
) -> None:
    with tracer.span("command RegisterDeal", ABOVE) as above, tracer.span("append", above.traceparent):
        pass
    append, command = exporter.get_finished_spans()
    assert (command.parent.span_id, command.context.trace_id) == (0xB7AD6B7169203331, context_of(ABOVE).trace_id)
    assert append.parent.span_id == command.context.span_id
    assert command.resource.attributes["service.name"] == "entente-registration"


def test_what_led_to_a_span_from_another_trace_is_linked_once(
    tracer: OpenTelemetryTracer, exporter: InMemorySpanExporter
) -> None:
    with tracer.span("command ApproveDeal", ABOVE, links=(ABOVE, ELSEWHERE, None, ELSEWHERE)):
        pass
    [span] = exporter.get_finished_spans()
    assert [int("1" * 32, 16)] == [link.context.trace_id for link in span.links]


def test_a_refusal_is_an_answer_and_a_bug_is_told_by_its_type_alone(
    tracer: OpenTelemetryTracer, exporter: InMemorySpanExporter
) -> None:
    with pytest.raises(Refused), tracer.span("command A", None):
        raise Refused("Anna Example may not")
    with pytest.raises(LookupError), tracer.span("command B", None):
        raise LookupError("Anna Example is missing")
    refused, bug = exporter.get_finished_spans()
    assert (refused.status.status_code, refused.attributes["entente.outcome"]) == (StatusCode.UNSET, "refused")
    assert (bug.status.status_code, bug.attributes["error.type"]) == (StatusCode.ERROR, "LookupError")
    assert "Anna" not in refused.to_json() + bug.to_json()


@pytest.mark.parametrize(
    "text",
    [None, "", "x", f"ff-{'1' * 32}-{'2' * 16}-01", f"00-{'0' * 32}-{'2' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01"],
)
def test_what_is_no_context_begins_a_trace(text: str | None, tracer: OpenTelemetryTracer) -> None:
    assert context_of(text) is None
    with tracer.span("GET", text) as span:
        assert context_of(span.traceparent) is not None


async def test_a_message_carries_the_span_of_its_sending(
    tracer: OpenTelemetryTracer, exporter: InMemorySpanExporter
) -> None:
    feed = MemoryFeed()
    await feed.commit(1)
    with sending(tracer, translated(outlet(feed), feed.recorded)) as [message]:
        assert exporter.get_finished_spans() == ()
    [span] = exporter.get_finished_spans()
    assert (span.name, span.context.span_id) == ("send CountTold", context_of(message.traceparent).span_id)
    assert span.context.trace_id == 1
    assert message.seen().traceparent == message.traceparent


async def test_a_request_finds_its_span_in_its_own_header(
    tracer: OpenTelemetryTracer, exporter: InMemorySpanExporter
) -> None:
    met = {}

    async def app(scope, receive, send):
        met.update(dict(scope["headers"]), serving=serving())
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    await Traced(app, tracer)(request_scope("GET", "/x", "", {"traceparent": ABOVE}), body_of(b""), Answer().take)
    [span] = exporter.get_finished_spans()
    assert context_of(met["serving"]).span_id == span.context.span_id
    assert met[b"traceparent"].decode() == met["serving"]
    assert (span.attributes["http.response.status_code"], span.status.status_code) == (503, StatusCode.ERROR)
    assert serving() is None


async def test_probes_are_not_traced(tracer: OpenTelemetryTracer, exporter: InMemorySpanExporter) -> None:
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    await Traced(app, tracer)(request_scope("GET", "/readyz", "", {}), body_of(b""), Answer().take)
    assert exporter.get_finished_spans() == ()


def test_tracing_that_is_off_passes_the_context_on() -> None:
    with UNTRACED.of("registration").span("command RegisterDeal", ABOVE) as span:
        assert span.traceparent == ABOVE


def test_tracing_that_is_off_is_never_imported() -> None:
    check = "import services.__main__, sys; print([m for m in sys.modules if m.startswith('opentelemetry.sdk')])"
    told = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
