"""A HubSpot of one's own, for development and tests: the deals API, webhooks, a page to win deals by hand, and faults.

It speaks CRM v3 as `hubspot.py` needs it and keeps deals in memory, and in a file when it is given one. Faults happen
on purpose: throttling, their own errors, answers lost after the write, pages that come twice, broken JSON.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import orjson
import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.attribution.adapters.hubspot import MODIFIED, OUR_ID, OURS, HubSpot, signature

log = structlog.get_logger()

TOKEN, SECRET = "simulated-token", "simulated-secret"
STAGES = (
    "appointmentscheduled",
    "qualifiedtobuy",
    "presentationscheduled",
    "decisionmakerboughtin",
    "contractsent",
    "closedwon",
    "closedlost",
)
DEALS_MAX, PUSHES_MAX, PAGE_DEALS = 500_000, 10_000, 200
WINDOW_MAX = 10_000
PUSH_SECONDS = 5.0
BATCH_MAX = 100

Deal = dict[str, Any]


@dataclass
class Faults:
    """How many of the next calls go wrong, each in its way. `repeat_pages`: every page of a search comes twice."""

    throttle: int = 0
    errors: int = 0
    lose_answers: int = 0
    broken_json: int = 0
    repeat_pages: bool = False
    push_off: bool = False

    def spend(self, kind: str) -> bool:
        """Whether this call is one of those that go wrong."""
        left: int = getattr(self, kind)
        setattr(self, kind, max(0, left - 1))
        return left > 0


@dataclass
class Hub:
    """The account: its deals by id, who is told of changes, and what goes wrong."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    path: Path | None = None
    deals: dict[str, Deal] = field(default_factory=dict)
    ours: dict[str, str] = field(default_factory=dict)
    subscriptions: list[str] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    pushes: "asyncio.Queue[tuple[str, bytes]]" = field(default_factory=lambda: asyncio.Queue(PUSHES_MAX))
    db: sqlite3.Connection | None = None

    def __post_init__(self) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        # It writes on the event loop, so it must not wait for the disk; a killed process loses nothing all the same.
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.execute("CREATE TABLE IF NOT EXISTS kept (kind TEXT, id TEXT, body TEXT, PRIMARY KEY (kind, id))")
        for kind, identity, body in self.db.execute("SELECT kind, id, body FROM kept").fetchall():
            self._load(kind, identity, body)

    def _load(self, kind: str, identity: str, body: str) -> None:
        if kind == "push":
            self.subscriptions.append(identity)
        else:
            self._place(json.loads(body))

    def _place(self, deal: Deal) -> None:
        self.deals[deal["id"]] = deal
        if deal["properties"].get(OUR_ID):
            self.ours[deal["properties"][OUR_ID]] = deal["id"]

    def subscribe(self, url: str) -> None:
        """Tells this address of every change from now on, instead of an earlier one with the same path."""
        path = urlsplit(url).path
        for known in [known for known in self.subscriptions if urlsplit(known).path == path and known != url]:
            self.subscriptions.remove(known)
            self._forget("push", known)
        if url not in self.subscriptions:
            self.subscriptions.append(url)
            self._keep("push", url, "")

    def put(self, identity: str | None, properties: Mapping[str, str]) -> tuple[Deal, bool]:
        """Writes properties into a deal, made if there is none; answers it and whether it was made."""
        before = self.deals.get(identity or "")
        if before is None and len(self.deals) >= DEALS_MAX:
            raise RuntimeError("the simulator is full")
        now = _iso(self.now())
        deal: Deal = before or {"id": str(10_000_001 + len(self.deals)), "createdAt": now, "properties": {}}
        changed = {name: value for name, value in properties.items() if deal["properties"].get(name) != value}
        deal = {**deal, "updatedAt": now, "archived": False}
        deal["properties"] = {**deal["properties"], **properties, MODIFIED: now, "hs_object_id": deal["id"]}
        self._keep("deal", deal["id"], json.dumps(deal))
        self._place(deal)
        self._tell(deal, changed)
        return deal, before is None

    def _keep(self, kind: str, identity: str, body: str) -> None:
        if self.db is not None:
            self.db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (kind, identity, body))

    def _forget(self, kind: str, identity: str) -> None:
        if self.db is not None:
            self.db.execute("DELETE FROM kept WHERE kind = ? AND id = ?", (kind, identity))

    def _tell(self, deal: Deal, changed: Mapping[str, str]) -> None:
        if not changed or self.faults.push_off:
            return
        events = [
            {
                "objectId": int(deal["id"]),
                "subscriptionType": "deal.propertyChange",
                "propertyName": name,
                "propertyValue": value,
                "occurredAt": _ms(self.now()),
            }
            for name, value in changed.items()
        ]
        for url in self.subscriptions:
            if not self.pushes.full():
                self.pushes.put_nowait((url, orjson.dumps(events)))

    async def push_always(self) -> None:
        """Sends pushes in order, each once; whoever misses one reads it at its next poll."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PUSH_SECONDS)) as session:
            while True:
                url, body = await self.pushes.get()
                await self._push(session, url, body)

    async def _push(self, session: aiohttp.ClientSession, url: str, body: bytes) -> None:
        stamp = str(_ms(self.now()))
        headers = {
            "Content-Type": "application/json",
            "X-HubSpot-Request-Timestamp": stamp,
            "X-HubSpot-Signature-v3": signature(SECRET, "POST", url, body, stamp),
        }
        try:
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("push_missed", error=type(error).__name__)

    def by_change(self, since_ms: int) -> list[Deal]:
        """Deals modified from then on, oldest first."""
        found = [deal for deal in self.deals.values() if _ms(_time(deal["updatedAt"])) >= since_ms]
        return sorted(found, key=lambda deal: (deal["updatedAt"], deal["id"]))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


# The published API

crm = APIRouter(prefix="/crm/v3")


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def _error(status: int, category: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"status": "error", "category": category, "message": message, "correlationId": "simulated"}
    return Response(orjson.dumps(body), status, headers, "application/json")


async def _not_now(_: Request, trouble: Exception) -> Response:
    """The file of deals cannot be written now; nothing has changed."""
    return _error(503, "SERVICE_UNAVAILABLE", str(trouble), {"Retry-After": "1"})


def _refused(request: Request) -> Response | None:
    """The answer of a call that goes wrong before anything is done."""
    faults = _hub(request).faults
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        return _error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found")
    if faults.spend("throttle"):
        return _error(429, "RATE_LIMITS", "You have reached your secondly limit.", {"Retry-After": "1"})
    if faults.spend("errors"):
        return _error(503, "INTERNAL", "There was a problem with the request.")
    if faults.spend("broken_json"):
        return Response(b'{"results": [{"id"', 200, media_type="application/json")
    return None


def _answered(request: Request, body: Any, status: int = 200) -> Response:
    """The answer, unless it gets lost: the work is done then, and nobody hears of it."""
    if _hub(request).faults.spend("lose_answers"):
        return _error(504, "GATEWAY_TIMEOUT", "the answer was lost")
    return Response(orjson.dumps(body), status, media_type="application/json")


@crm.get("/pipelines/deals")
async def pipelines(request: Request) -> Response:
    stages = [{"id": stage, "label": stage, "displayOrder": n} for n, stage in enumerate(STAGES)]
    body = {"results": [{"id": "default", "label": "Sales pipeline", "stages": stages}]}
    return _refused(request) or Response(orjson.dumps(body), media_type="application/json")


@crm.post("/objects/deals/search")
async def search(request: Request) -> Response:
    """Deals by `hs_lastmodifieddate`, oldest first. As at HubSpot, a search ends at 10,000."""
    refused = _refused(request)
    if refused:
        return refused
    hub, wanted = _hub(request), orjson.loads(await request.body())
    since = int(wanted["filterGroups"][0]["filters"][0]["value"])
    start, limit = int(wanted.get("after", 0)), min(int(wanted.get("limit", 10)), PAGE_DEALS)
    if start + limit > WINDOW_MAX:
        return _error(400, "VALIDATION_ERROR", "a search ends at 10000 results")
    found = hub.by_change(since)
    page = found[start : start + limit]
    body: dict[str, Any] = {"total": len(found), "results": page * 2 if hub.faults.repeat_pages else page}
    if start + limit < len(found):
        body["paging"] = {"next": {"after": str(start + limit)}}
    return _answered(request, body)


@crm.post("/objects/deals/batch/read")
async def batch_read(request: Request) -> Response:
    refused = _refused(request)
    if refused:
        return refused
    hub, wanted = _hub(request), orjson.loads(await request.body())
    ids = [str(each["id"]) for each in wanted["inputs"][:BATCH_MAX]]
    if wanted.get("idProperty") == OUR_ID:
        ids = [hub.ours[identity] for identity in ids if identity in hub.ours]
    results = [hub.deals[identity] for identity in ids if identity in hub.deals]
    return _answered(request, {"status": "COMPLETE", "results": results})


@crm.post("/objects/deals/batch/upsert")
async def batch_upsert(request: Request) -> Response:
    """Writes by our unique property: a deal is made where none carries it."""
    refused = _refused(request)
    if refused:
        return refused
    hub, results = _hub(request), []
    for each in orjson.loads(await request.body())["inputs"][:BATCH_MAX]:
        deal, made = hub.put(hub.ours.get(str(each["id"])), {**each["properties"], OUR_ID: str(each["id"])})
        results.append({**deal, "new": made})
    return _answered(request, {"status": "COMPLETE", "results": results})


@crm.post("/objects/deals/batch/update")
async def batch_update(request: Request) -> Response:
    """Writes by HubSpot's id. What is not there is told in `errors`, with 207."""
    refused = _refused(request)
    if refused:
        return refused
    hub, inputs = _hub(request), orjson.loads(await request.body())["inputs"][:BATCH_MAX]
    missing = [str(each["id"]) for each in inputs if str(each["id"]) not in hub.deals]
    results = [hub.put(str(e["id"]), e["properties"])[0] for e in inputs if str(e["id"]) in hub.deals]
    body: dict[str, Any] = {"status": "COMPLETE", "results": results}
    if missing:
        error = {"category": "OBJECT_NOT_FOUND", "message": "no such deal", "context": {"ids": missing}}
        body |= {"numErrors": len(missing), "errors": [error]}
    return _answered(request, body, 207 if missing else 200)


# What a salesperson does, and what goes wrong

sales = APIRouter(prefix="/sim")


def _missing() -> Response:
    return _error(404, "OBJECT_NOT_FOUND", "no such deal")


def won(hub: Hub, identity: str, amount: str | None = None) -> Deal:
    """A salesperson wins the deal, today, for its amount or another."""
    wanted = {"dealstage": "closedwon", "closedate": _iso(hub.now())} | ({"amount": amount} if amount else {})
    return hub.put(identity, wanted)[0]


def lost(hub: Hub, identity: str, reason: str = "price") -> Deal:
    wanted = {"dealstage": "closedlost", "closedate": _iso(hub.now()), "closed_lost_reason": reason}
    return hub.put(identity, wanted)[0]


def refunded(hub: Hub, identity: str, amount: str) -> Deal:
    """A refund of this amount: the deal keeps the running total."""
    before = Decimal(hub.deals[identity]["properties"].get("entente_refunded_amount") or "0")
    return hub.put(identity, {"entente_refunded_amount": str(before + Decimal(amount))})[0]


@sales.get("/deals")
async def deals(request: Request, opportunity_id: str | None = None, registration_id: str | None = None) -> Response:
    """All deals, the last changed first, or those that carry our id of the opportunity or of the registration."""
    hub = _hub(request)
    found = hub.by_change(0)[::-1]
    if opportunity_id:
        found = [deal for deal in found if deal["properties"].get(OUR_ID) == opportunity_id]
    if registration_id:
        found = [deal for deal in found if deal["properties"].get(OURS["registration_id"]) == registration_id]
    return Response(orjson.dumps({"results": found}), media_type="application/json")


@sales.post("/deals/{identity}/{verb}")
async def act(request: Request, identity: str, verb: str) -> Response:
    """Win {amount?}, lose {reason?}, refund {amount}, move {stage}, reopen, edit {any property}. Form or JSON."""
    hub, said = _hub(request), await _said(request)
    if identity not in hub.deals:
        return _missing()
    try:
        deal = _acted(hub, identity, verb, said)
    except (KeyError, InvalidOperation):
        return _error(400, "VALIDATION_ERROR", f"{verb} is not known here, or lacks what it needs")
    if "form" in request.headers.get("content-type", ""):
        return RedirectResponse("/", status_code=303)
    return Response(orjson.dumps(deal), media_type="application/json")


def _acted(hub: Hub, identity: str, verb: str, said: dict[str, str]) -> Deal:
    if verb == "win":
        return won(hub, identity, said.get("amount") or None)
    if verb == "lose":
        return lost(hub, identity, said.get("reason") or "price")
    if verb == "refund":
        return refunded(hub, identity, said["amount"])
    if verb in ("move", "reopen"):
        return hub.put(identity, {"dealstage": said["stage"] if verb == "move" else "contractsent"})[0]
    if verb == "edit" and said:
        return hub.put(identity, said)[0]
    raise KeyError(verb)


async def _said(request: Request) -> dict[str, str]:
    body = await request.body()
    if "form" in request.headers.get("content-type", ""):
        return {name: values[-1] for name, values in parse_qs(body.decode()).items()}
    return {name: str(value) for name, value in orjson.loads(body).items()} if body else {}


@sales.post("/faults")
async def set_faults(request: Request) -> Response:
    """Sets what goes wrong from now on; what is not named goes right."""
    wanted = orjson.loads(await request.body())
    known = {each.name for each in fields(Faults)}
    _hub(request).faults = Faults(**{name: value for name, value in wanted.items() if name in known})
    return Response(status_code=204)


@sales.post("/subscriptions")
async def subscribe(request: Request) -> Response:
    """{url}: where pushes go."""
    hub = _hub(request)
    hub.subscribe(str(orjson.loads(await request.body())["url"]))
    return Response(orjson.dumps({"results": hub.subscriptions}), media_type="application/json")


# The page

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Simulated CRM</title>
<meta name="viewport" content="width=device-width">
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}}
table{{border-collapse:collapse;width:100%}}
td,th{{padding:.4rem .6rem;text-align:left;border-bottom:1px solid #8884}}
form{{display:inline}}input{{width:6rem}}.n{{text-align:right;font-variant-numeric:tabular-nums}}</style>
<h1>Simulated CRM</h1><p>What a salesperson does here reaches Entente by push within a second, or by the next poll.</p>
<table><tr><th>Deal<th>Stage<th class="n">Amount<th class="n">Refunded<th>Partner<th>Do</tr>{rows}</table></html>"""
ROW = """<tr><td>{name}<td>{stage}<td class="n">{amount} {currency}<td class="n">{refunded}<td>{status}<td>
<form method="post" action="/sim/deals/{id}/win"><input name="amount" placeholder="amount" aria-label="amount">
<button>Win</button></form>
<form method="post" action="/sim/deals/{id}/lose"><button>Lose</button></form>
<form method="post" action="/sim/deals/{id}/reopen"><button>Reopen</button></form>
<form method="post" action="/sim/deals/{id}/refund">
<input name="amount" placeholder="refund" aria-label="refund" required><button>Refund</button></form></tr>"""
ROWS_MAX = 100

pages = APIRouter()


@pages.get("/", response_class=HTMLResponse)
async def page(request: Request) -> str:
    """The deals, the last changed first, with what a salesperson can do to each."""
    newest = _hub(request).by_change(0)[::-1][:ROWS_MAX]
    return PAGE.format(rows="".join(_html_row(deal) for deal in newest))


def _html_row(deal: Deal) -> str:
    said = deal["properties"]
    shown = {
        "id": deal["id"],
        "name": said.get("dealname", ""),
        "stage": said.get("dealstage", ""),
        "amount": said.get("amount", ""),
        "currency": said.get("deal_currency_code", ""),
        "refunded": said.get("entente_refunded_amount", ""),
        "status": said.get("entente_status", ""),
    }
    return ROW.format(**{name: escape(value) for name, value in shown.items()})


class SimulatedHubSpot(HubSpot):
    """The client of this simulator: its pushes are asked for over its control API."""

    async def listen(self, url: str) -> None:
        """Has the simulator push to this address. Raises CrmTrouble."""
        await self._call("POST", "/sim/subscriptions", {"url": url})


def simulator(hub: Hub) -> FastAPI:
    """The simulator as an application; its lifespan sends the pushes."""

    @asynccontextmanager
    async def pushing(app: FastAPI) -> Any:
        task = asyncio.create_task(hub.push_always())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    app = FastAPI(title="Simulated HubSpot", lifespan=pushing, docs_url=None, redoc_url=None)
    app.state.hub = hub
    app.add_exception_handler(sqlite3.OperationalError, _not_now)
    for router in (crm, sales, pages):
        app.include_router(router)
    return app
