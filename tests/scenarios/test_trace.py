"""One trace shows a deal from the click to the payment: through the door, commits, messages and reactions."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis.asgi import Answer
from chassis.decider import Busy
from chassis.process import free_port
from chassis.spans import OpenTelemetry
from chassis.transport.kafka import KafkaTransport, Settings, make_topics
from chassis.transport.port import Transport, topic_of
from contracts.catalogue import SERVICES
from tests.engines.kafka import Broker
from tests.scenarios.browser import browser
from tests.scenarios.distributed import five_processes
from tests.scenarios.main_job import PERIOD, Story, main_job, releasing, winning
from tests.scenarios.patient import Patient
from tests.scenarios.system import System, done, running_system
from tests.scenarios.test_money_pages import portal_of, sent, shows

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


FORM = {
    "customer": "Contoso GmbH",
    "country": "DE",
    "known_by": "www.contoso.de",
    "products": "platform",
    "amount": "15000.00",
    "close_on": "2031-04-20",
}
FROM_THE_FORM = [
    "gateway POST /deals/new",
    "registration POST /deals",
    "registration command RegisterDeal",
    "registration send DealRegistered",
    "incentives react DealRegistered",
    "incentives command RecordAchievement",
]
FROM_THE_DESK = ["gateway POST /desk/{registration_id}/{verb}", *TO_THE_PAYOUT[1:]]
FROM_FINANCE = ["gateway POST /money/payments/{payment_id}/{verb}", *TO_THE_PAYMENT[1:]]


class OneClick(Patient):
    """A client that calls everything a part of one trace, as a traced front end or a partner's own system does."""

    def signed_in(self, token: str) -> "OneClick":
        return OneClick(self._app, token)

    async def send(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        return await super().send(method, path, content, {**headers, "traceparent": CLICK})


@dataclass(frozen=True)
class Seen:
    """A finished span: its own id and its parent's in hexadecimal digits, and what it says of itself."""

    trace: str
    own: str
    parent: str
    said: str
    started: int
    good: bool
    again: bool
    """Whether its caller was told to come again, as on a machine that has much to do."""


def said(span: ReadableSpan) -> str:
    return f"{str(span.resource.attributes['service.name']).removeprefix('entente-')} {span.name}"


def seen_here(span: ReadableSpan) -> Seen:
    return Seen(
        trace=f"{span.context.trace_id:032x}",
        own=f"{span.context.span_id:016x}",
        parent=f"{span.parent.span_id:016x}" if span.parent else "",
        said=said(span),
        started=span.start_time or 0,
        good=span.status.is_ok or span.status.is_unset,
        again=comes_again(span.attributes or {}),
    )


def comes_again(said_of_it: Mapping[str, Any]) -> bool:
    busy = HTTPStatus.SERVICE_UNAVAILABLE
    return said_of_it.get("http.response.status_code") == busy or said_of_it.get("entente.outcome") == Busy.slug


class Tree:
    """The spans of the one trace, by what stands above them."""

    def __init__(self, spans: Iterable[Seen]) -> None:
        self.spans = [span for span in spans if span.trace == TRACE]
        self._known = {span.own: span for span in self.spans}

    def path(self, span: Seen | None) -> Iterator[str]:
        """The names from the click down to this span."""
        if span is not None:
            yield from self.path(self._known.get(span.parent))
            yield span.said

    def to(self, name: str) -> list[str]:
        """The path to the first span of this name, commits and asides left out."""
        first = min((span for span in self.spans if span.said == name), key=lambda span: span.started)
        return [step for step in self.path(first) if step not in ELSEWHEN]

    def tops(self) -> set[str]:
        """The parents that are no span of ours: the browser's own."""
        return {span.parent for span in self.spans if span.parent not in self._known}


async def traced(data: Path, transport: Transport | None) -> Tree:
    """The main job by clients that belong to one trace, and every span of it."""
    kept = InMemorySpanExporter()
    tracing = OpenTelemetry(SimpleSpanProcessor(kept), percent=0)  # the client decided: its trace is kept
    async with running_system(data, transport, tracing=tracing, client=OneClick) as it:
        await main_job(it)
    return Tree(map(seen_here, kept.get_finished_spans()))


def came_out_right(tree: Tree) -> None:
    assert TO_THE_PAYOUT == tree.to("incentives send PayoutCalculated")
    assert TO_THE_PAYMENT == tree.to("incentives send PaymentMade")
    every_commit_stands_beneath_its_command(tree)


def every_commit_stands_beneath_its_command(tree: Tree) -> None:
    appended = {span.parent for span in tree.spans if span.said.endswith(" append")}
    spans = [span for span in tree.spans if not span.again]
    assert [] == [span.said for span in spans if " command " in span.said and span.own not in appended]
    assert [] == [span.said for span in spans if not span.good]


async def test_one_trace_leads_from_the_click_to_the_payment_in_one_process(tmp_path: Path) -> None:
    came_out_right(await traced(tmp_path, None))


async def test_one_trace_leads_from_the_click_to_the_payment_over_kafka(tmp_path: Path, broker: Broker) -> None:
    settings = Settings(bootstrap=broker.bootstrap, partitions=1, replication=1)
    await make_topics([topic_of(service) for service in SERVICES], settings)
    came_out_right(await traced(tmp_path, KafkaTransport(settings)))


async def clicked(it: System) -> None:
    """The main job by the forms of the portal, in browsers whose clicks all belong to one trace."""
    story = Story()
    async with as_(it, "northwind") as partner, as_(it, "dora") as desk:
        made = await sent(partner, "/deals/new", "/deals/new", **FORM)
        story.deal_id = made.url.path.rpartition("/")[2]
        page = f"/desk/{story.deal_id}"
        assert "Approved" in (await sent(desk, page, f"{page}/approve")).text
    await it.settle()
    await winning(it, story)
    await it.settle()
    await releasing(it, story)
    partner_id = done(await (await it.who("northwind")).get("/v1/me"))["partner_id"]
    async with as_(it, "finn") as finance, as_(it, "faye") as approver:
        await sent(finance, "/money", "/money/statements", payee=partner_id, period=PERIOD)
        proposed = await sent(finance, "/money", "/money/payments")
        [payment_id] = set(re.findall(r"/payments/([0-9a-f-]{36})", proposed.text))
        for client, verb in ((approver, "approve"), (finance, "submit")):
            await sent(client, "/money", f"/money/payments/{payment_id}/{verb}")
        await shows(finance, f"/payments/{payment_id}", "Paid")
    await it.settle()


@asynccontextmanager
async def as_(it: System, name: str) -> AsyncIterator[httpx.AsyncClient]:
    async with portal_of(it, await it.who(name), traceparent=CLICK) as client:
        yield client


def leads_from_the_forms(tree: Tree) -> None:
    assert FROM_THE_FORM == tree.to(FROM_THE_FORM[-1])
    assert FROM_THE_DESK == tree.to("incentives send PayoutCalculated")
    assert FROM_FINANCE == tree.to("incentives send PaymentMade")
    assert {CLICK.split("-")[2]} == tree.tops(), "nothing stands beside the clicks"
    every_commit_stands_beneath_its_command(tree)


async def test_one_trace_leads_from_the_portals_form_to_the_payment(tmp_path: Path) -> None:
    kept = InMemorySpanExporter()
    async with running_system(tmp_path, tracing=OpenTelemetry(SimpleSpanProcessor(kept), percent=0)) as it:
        await clicked(it)
    leads_from_the_forms(Tree(map(seen_here, kept.get_finished_spans())))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engines", ["postgres"], indirect=True)
async def test_one_trace_leads_from_the_portals_form_through_five_processes_to_the_payment(
    tmp_path: Path, engines: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with collector() as (endpoint, taken):
        monkeypatch.setenv("ENTENTE_TRACES", endpoint)
        monkeypatch.setenv("ENTENTE_TRACE_PERCENT", "0")
        async with five_processes(tmp_path) as it:
            await clicked(it)
    leads_from_the_forms(Tree(taken))


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[str, list[Seen]]]:
    """Takes spans by OTLP over HTTP on loopback, as a collector does: where, and what came."""
    taken: list[Seen] = []

    async def take(request: web.Request) -> web.Response:
        taken.extend(seen_in(ExportTraceServiceRequest.FromString(await request.read())))
        return web.Response(body=ExportTraceServiceResponse().SerializeToString())

    app = web.Application(client_max_size=16 << 20)
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := free_port())
    await site.start()
    try:
        yield f"http://127.0.0.1:{port}/v1/traces", taken
    finally:
        await runner.cleanup()


def seen_in(found: ExportTraceServiceRequest) -> Iterator[Seen]:
    for group in found.resource_spans:
        [name] = [one.value.string_value for one in group.resource.attributes if one.key == "service.name"]
        for span in (span for scope in group.scope_spans for span in scope.spans):
            yield Seen(
                trace=span.trace_id.hex(),
                own=span.span_id.hex(),
                parent=span.parent_span_id.hex(),
                said=f"{name.removeprefix('entente-')} {span.name}",
                started=span.start_time_unix_nano,
                good=span.status.code != Status.STATUS_CODE_ERROR,
                again=comes_again({one.key: one.value.int_value or one.value.string_value for one in span.attributes}),
            )


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
