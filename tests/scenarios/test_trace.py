"""One trace shows a deal from the click to the payment: through the door, commits, messages and reactions."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis.asgi import Answer, Api
from chassis.spans import OpenTelemetry
from chassis.transport.kafka import KafkaTransport, Settings, make_topics
from chassis.transport.port import Transport, topic_of
from contracts.catalogue import SERVICES
from tests.engines.kafka import Broker
from tests.scenarios.browser import browser
from tests.scenarios.main_job import main_job
from tests.scenarios.system import running_system

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLICK = f"00-{TRACE}-b7ad6b7169203331-01"
ELSEWHEN = {"attribution command RecordCrmWrite"}
"""Whether the CRM's answer to our write is recorded before or after it is seen there is the CRM's affair."""

TO_THE_PAYOUT = [
    "gateway POST /v1/registration/…",
    "registration POST /deals/{registration_id}/approve",
    "registration command ApproveDeal",
    "registration send DealApproved",
    "attribution react DealApproved",
    "attribution command OpenOpportunity",
    "attribution command ObserveCrmChange",
    "attribution send CreditAllocated",
    "incentives react CreditAllocated",
    "incentives command RecordCredit",
    "incentives send PayoutCalculated",
]
TO_THE_PAYMENT = [
    "gateway POST /v1/incentives/…",
    "incentives POST /payments/{payment_id}/submit",
    "incentives command SubmitPayment",
    "incentives command ReportOutcome",
    "incentives send PaymentMade",
]


class OneClick(Api):
    """A client that calls everything a part of one trace, as a traced front end or a partner's own system does."""

    def signed_in(self, token: str) -> "OneClick":
        return OneClick(self._app, token)

    async def send(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        return await super().send(method, path, content, {**headers, "traceparent": CLICK})


class Tree:
    """The spans that were finished, by what stands above them."""

    def __init__(self, spans: tuple[ReadableSpan, ...]) -> None:
        self.spans = [span for span in spans if span.context.trace_id == int(TRACE, 16)]
        self._known = {span.context.span_id: span for span in spans}

    def path(self, span: ReadableSpan | None) -> Iterator[str]:
        """The names from the click down to this span."""
        if span is not None:
            above = self._known.get(span.parent.span_id) if span.parent else None
            yield from self.path(above)
            yield said(span)

    def to(self, name: str) -> list[str]:
        """The path to the first span of this name, commits and asides left out."""
        first = min((span for span in self.spans if said(span) == name), key=lambda span: span.start_time)
        return [step for step in self.path(first) if step not in ELSEWHEN]


def said(span: ReadableSpan) -> str:
    return f"{str(span.resource.attributes['service.name']).removeprefix('entente-')} {span.name}"


async def traced(data: Path, transport: Transport | None) -> Tree:
    """The main job by clients that belong to one trace, and every span of it."""
    kept = InMemorySpanExporter()
    tracing = OpenTelemetry(SimpleSpanProcessor(kept), percent=0)  # the client decided: its trace is kept
    async with running_system(data, transport, tracing=tracing, client=OneClick) as it:
        await main_job(it)
    return Tree(kept.get_finished_spans())


def came_out_right(tree: Tree) -> None:
    assert TO_THE_PAYOUT == tree.to("incentives send PayoutCalculated")
    assert TO_THE_PAYMENT == tree.to("incentives send PaymentMade")
    commands = [span for span in tree.spans if span.name.startswith("command ")]
    appended = {span.parent.span_id for span in tree.spans if span.name == "append" and span.parent}
    assert [] == [said(span) for span in commands if span.context.span_id not in appended]
    assert [] == [said(span) for span in tree.spans if not span.status.is_ok and not span.status.is_unset]


async def test_one_trace_leads_from_the_click_to_the_payment_in_one_process(tmp_path: Path) -> None:
    came_out_right(await traced(tmp_path, None))


async def test_one_trace_leads_from_the_click_to_the_payment_over_kafka(tmp_path: Path, broker: Broker) -> None:
    settings = Settings(bootstrap=broker.bootstrap, partitions=1, replication=1)
    await make_topics([topic_of(service) for service in SERVICES], settings)
    came_out_right(await traced(tmp_path, KafkaTransport(settings)))


async def test_a_page_is_one_trace_with_all_that_it_asked_the_services(tmp_path: Path) -> None:
    kept = InMemorySpanExporter()
    async with running_system(tmp_path, tracing=OpenTelemetry(SimpleSpanProcessor(kept), percent=100)) as it:
        north = await it.who("northwind")
        kept.clear()
        async with browser(it.front._app, cookies={"entente": north._token}) as client:
            assert (await client.get("/earnings")).status_code == 200
        spans: dict[str, Any] = {said(span): span for span in kept.get_finished_spans()}
    page = spans["gateway GET /earnings"]
    assert page.parent is None
    assert spans["incentives GET /statements"].parent.span_id == page.context.span_id
    assert page.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize(("percent", "spans"), [(0.0, 0), (100.0, 1)])
async def test_of_traces_that_begin_here_so_many_percent_are_kept(percent: float, spans: int) -> None:
    kept = InMemorySpanExporter()
    tracer = OpenTelemetry(SimpleSpanProcessor(kept), percent).of("registration")
    with tracer.span("GET /deals", None):
        pass
    assert spans == len(kept.get_finished_spans())
