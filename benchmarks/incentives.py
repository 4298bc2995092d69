"""How fast lines are rated, posted and recalculated, beside the same rule in plain Decimal and in SQL.

All three rate the same lines of a year: 500 payees, marginal bands, one window a payee and quarter. Ours works in whole
numbers; the plain form uses `decimal` line by line; SQLite sums windows with the rule written as a CASE.
"""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import aiohttp
import msgspec
import uuid_utils

from benchmarks._figures import Figure, at_least, at_most
from benchmarks.http import Rate, server, steady
from chassis.asgi import Api
from chassis.event import Actor, encode
from chassis.identity import Principal
from chassis.process import make_world, running
from chassis.rulebook import Version
from chassis.service import Service, World
from chassis.store.port import Commit, NewEvent
from chassis.store.sqlite import SqliteEventStore
from contracts.values import money
from services.incentives.app import Settings, build
from services.incentives.domain.backtest import Backtest
from services.incentives.domain.budget import BudgetUsed
from services.incentives.domain.bulk import Share, rated
from services.incentives.domain.choice import Chosen, read_plan
from services.incentives.domain.dues import Known
from services.incentives.domain.journal import move
from services.incentives.domain.schedule import Band, Schedule
from services.incentives.domain.side import Side
from services.incentives.projections.sales import sale_of

LINES, RECALCULATED, SAMPLE = 300_000, 1_000_000, 60_000
PAYEES, QUARTERS, DEALS = 500, 4, 100_000
BACKTEST_SECONDS = 60
RATE_TARGET, POST_TARGET, RECALCULATE_SECONDS = 300_000, 20_000, 60
POSTED, EVENTS_A_COMMIT = 20_000, 1_000
ESTIMATES, ESTIMATE_MILLISECONDS, BANDS, MODIFIERS = 1_000, 50, 50, 100
OVER_HTTP, A_SECOND, FIRST = 400, 20, 20
CENT = Decimal("0.01")
SCHEDULE = Schedule(
    semantics="marginal",
    bands=(
        Band(up_to=Decimal(100_000), percent=Decimal(5)),
        Band(up_to=Decimal(500_000), percent=Decimal("7.5")),
        Band(percent=Decimal("9.25")),
    ),
)


def run() -> Iterable[Figure]:
    lines = _lines(RECALCULATED)
    ours = LINES / _seconds(lambda: rated(SCHEDULE, "EUR", lines[:LINES]))
    plain = SAMPLE / _seconds(lambda: _plain(lines[:SAMPLE]))
    yield at_least("incentives.rate", ours, "lines/s", RATE_TARGET, ("plain Decimal, line by line", plain))
    in_sql = SAMPLE / _seconds(lambda: _sql(lines[:SAMPLE]))
    yield at_least(
        "incentives.rate_beside_sql", ours, "lines/s", RATE_TARGET, ("SQLite, windows as a running sum", in_sql)
    )
    yield _recalculation(lines)
    yield _backtest()
    yield at_least("incentives.post", asyncio.run(_post()), "ledger lines/s", POST_TARGET)
    in_process = asyncio.run(_estimates())
    yield at_most("incentives.estimate_p99", in_process, "ms", ESTIMATE_MILLISECONDS)
    with server() as (base, _):
        through = asyncio.run(_estimates_through(base))
    beside = ("incentives.estimate_p99, ms", in_process)
    yield at_most("incentives.estimate_over_http_p99", through.p99_ms, "ms", ESTIMATE_MILLISECONDS, beside)


def _lines(count: int) -> list[Share]:
    chance = random.Random(7)
    return [
        (
            f"p{chance.randrange(PAYEES)}-Q{1 + place * QUARTERS // count}",
            chance.randrange(1, 2_000_000),
            chance.choice((1_000_000, 600_000, 333_333)),
        )
        for place in range(count)
    ]


def _recalculation(lines: list[Share]) -> Figure:
    """Rates everything twice; the second run must give the same bytes."""
    first = rated(SCHEDULE, "EUR", lines)
    start = process_time()
    again = rated(SCHEDULE, "EUR", lines)
    seconds = process_time() - start
    assert _digest(first) == _digest(again)
    return at_most("incentives.recalculate_1m", seconds, "s", RECALCULATE_SECONDS)


def _backtest() -> Figure:
    """A candidate plan beside the live one over a year of won deals, read from documents as the read model holds them."""
    documents = [_deal(number) for number in range(DEALS)]
    start = process_time()
    test = Backtest(old=_side(1, "10"), new=_side(2, "11"), since=date(2026, 1, 1), until=date(2026, 12, 31))
    for document in documents:
        test.take(document["opportunity_id"], sale_of(document))
    assert len(test.report()["winners"]) == PAYEES
    return at_most("incentives.backtest_100k_deals", process_time() - start, "s", BACKTEST_SECONDS)


def _side(number: int, percent: str) -> Side:
    schedule = {"semantics": "marginal", "bands": [{"percent": percent}]}
    body = {"kind": "commission", "name": "Commission", "currency": "EUR", "schedule": schedule}
    began = datetime(2026, 1, 1, tzinfo=UTC)
    version = Version(
        rulebook_id="plan",
        kind="plan",
        scope="default",
        version=number,
        body=body,
        sha256="",
        effective_from=began,
        effective_until=None,
        mode="live",
    )
    return Side(Chosen(version, read_plan(body)), Known(books=(), payees={}))


def _deal(number: int) -> Any:
    name, amount = f"o{number}", {"amount": f"{1 + number}.{number % 100:02}", "currency": "EUR"}
    share = {"partner_id": f"p{number % PAYEES}", "role": "source", "percent": "66.67", "from_month": "2026-01"}
    source = {"opportunity_id": name, "source_event_id": "e", "recorded_at": "2026-01-01T00:00:00Z"}
    sold = [{"line_id": "1", "family": "", "amount": amount}]
    day = f"2026-{1 + number % 12:02}-{1 + number % 28:02}"
    won = {"registration_id": None, "win_no": 1, "amount": amount, "sold": sold, "deal_type": "new", "backfill": False}
    credit = {"pool": "sourced", "revision": 1, "win_no": None, "shares": [share]}
    return {
        "opportunity_id": name,
        "wins": {"1": {**source, **won, "credited_on": day}},
        "credits": {"sourced": {**source, **credit}},
        "reversals": {},
        "bases": {},
        "told": [],
    }


def _digest(pays: list[int]) -> str:
    return sha256(msgspec.json.encode(pays)).hexdigest()


def _plain(lines: list[Share]) -> list[Decimal]:
    """The rule as one writes it first."""
    measures: dict[str, Decimal] = {}
    posted: dict[str, Decimal] = {}
    pays = []
    for window, basis, share in lines:
        after = measures.get(window, Decimal(0)) + Decimal(basis) / 100 * Decimal(share) / 1_000_000
        value = _decimal_value(after).quantize(CENT, rounding=ROUND_HALF_UP)
        pays.append(value - posted.get(window, Decimal(0)))
        measures[window], posted[window] = after, value
    return pays


def _decimal_value(measure: Decimal) -> Decimal:
    value, above = Decimal(0), Decimal(0)
    for band in SCHEDULE.bands:
        upper = measure if band.up_to is None else min(measure, band.up_to)
        if upper > above:
            value += (upper - above) * (band.percent or Decimal(0)) / 100
        above = band.up_to or above
    return value


def _sql(lines: list[Share]) -> list[tuple[int]]:
    """The rule as a running sum per window: SQLite's integers hold cents only, so shares are rounded before it."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE lines (n INTEGER PRIMARY KEY, window TEXT, measure INTEGER)")
    rows = [(n, window, basis * share // 1_000_000) for n, (window, basis, share) in enumerate(lines)]
    database.executemany("INSERT INTO lines VALUES (?, ?, ?)", rows)
    value = (
        "CASE WHEN m <= 10000000 THEN m * 500 WHEN m <= 50000000 THEN 10000000 * 500 + (m - 10000000) * 750 "
        "ELSE 10000000 * 500 + 40000000 * 750 + (m - 50000000) * 925 END"
    )
    found = database.execute(
        f"WITH run AS (SELECT n, window, SUM(measure) OVER (PARTITION BY window ORDER BY n) AS m FROM lines), "
        f"worth AS (SELECT n, window, (({value}) + 5000) / 10000 AS v FROM run) "
        "SELECT v - COALESCE(LAG(v) OVER (PARTITION BY window ORDER BY n), 0) FROM worth ORDER BY n"
    ).fetchall()
    database.close()
    return found


async def _post() -> float:
    """Ledger lines a second through the event store, in commits of a thousand events of two lines."""
    with TemporaryDirectory() as name:
        store = SqliteEventStore(Path(name) / "events.db")
        await store.migrate()
        await store.open()
        commits = [_commit(first) for first in range(0, POSTED // 2, EVENTS_A_COMMIT)]
        start = perf_counter()
        for commit in commits:
            await store.append(commit)
        seconds = perf_counter() - start
        await store.close()
        return POSTED / seconds


def _commit(first: int) -> Commit:
    return Commit(
        tenant="bench",
        actor=Actor(kind="service", subject="incentives"),
        command_id=str(uuid_utils.uuid7()),
        causation_id=None,
        correlation_id=str(uuid_utils.uuid7()),
        traceparent=None,
        evaluator=1,
        recorded_at=datetime.now(UTC),
        events=tuple(_posting(number) for number in range(first, first + EVENTS_A_COMMIT)),
    )


def _posting(number: int) -> NewEvent:
    amount = money("12.34", "EUR")
    used = BudgetUsed(
        budget_id="pot",
        ref=str(number),
        amount=amount,
        available=amount,
        journal=move(amount, debit="expense", credit="payable", payee_id=f"p{number % PAYEES}", cause=str(number)),
        used_at=datetime.now(UTC),
    )
    stream = f"bench:budget-{number % PAYEES}"
    return NewEvent(stream, number // PAYEES + 1, str(uuid_utils.uuid7()), used.type, encode(used))  # type: ignore[attr-defined]


async def _estimates() -> float:
    """The 99th percentile of an estimate over the service's own API, under a plan as large as a plan may be.

    It is the time of one core, as the other figures are.
    """
    with TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder))
        world = make_world(settings)
        service = build(settings, world)
        async with running([service], world):
            first, second = [_asking(service, world, subject) for subject in ("adm-1", "adm-2")]
            for draft in _rules():
                kind, path = draft["kind"], f"/rulebooks/{draft['rulebook_id']}/publish"
                assert (await first.post("/rulebooks", draft, key=f"draft-{kind}")).ok
                published = await second.post(path, {"version": 1}, key=f"publish-{kind}")
                assert published.ok, published.body
            await service.application.caught_up("rulebooks")
            took = sorted([await _estimate(_asking(service, world, "adm-1"), n) for n in range(ESTIMATES)])
    return took[ESTIMATES * 99 // 100 - 1] * 1_000


def _asking(service: Service, world: World, subject: str) -> Api:
    who = Principal(tenant="t-1", subject=subject, kind="vendor", roles=("admin",), duties=("plan_admin",))
    return Api(service.api, world.signer.sign(who, "incentives"))


def _largest_plan() -> dict[str, Any]:
    bands = [{"up_to": str(1_000 * number), "percent": str(number % 30 + 1)} for number in range(1, BANDS)]
    when = {"field": "tier", "is_one_of": ["silver", "gold"]}
    modifiers = [{"modifier_id": f"m{number}", "when": when, "multiply": "1.5"} for number in range(MODIFIERS)]
    schedule = {"semantics": "marginal", "bands": [*bands, {"percent": "5"}]}
    named = {"kind": "commission", "name": "Largest", "currency": "EUR", "accumulate": "quarter"}
    return {**named, "component": "largest", "schedule": schedule, "modifiers": modifiers}


def _rules() -> Iterable[dict[str, Any]]:
    yield {"rulebook_id": "largest", "kind": "plan", "body": _largest_plan()}
    yield {"rulebook_id": "tiers", "kind": "tier", "body": TIER_RULES}


TIER_RULES = {"name": "Tiers", "metrics": [{"name": "deals"}], "levels": [{"name": "silver"}, {"name": "gold"}]}


def _sale(number: int) -> dict[str, str]:
    return {"partner_id": f"p{number % PAYEES}", "amount": "60000.00", "currency": "EUR", "closes_on": "2031-03-20"}


async def _estimate(api: Api, number: int) -> float:
    began = process_time()
    answer = await api.post("/estimates", _sale(number), key=f"estimate-{number}")
    took = process_time() - began
    assert answer.ok, answer.body
    return took


async def _estimates_through(base: str) -> Rate:
    """The same over HTTP, through the gateway and its rights, by the clock: so many a second, counted from when each was due."""
    async with aiohttp.ClientSession(base) as http:
        ada, faye = [await _signed_in(http, name) for name in ("ada", "faye")]
        for draft in _rules():
            await _asked(http, ada, "/rulebooks", draft)
            await _asked(http, faye, f"/rulebooks/{draft['rulebook_id']}/publish", {"version": 1})
        for number in range(FIRST):
            await _asked(http, ada, "/estimates", _sale(number))
        return await steady(OVER_HTTP, A_SECOND, lambda number: _asked(http, ada, "/estimates", _sale(number)))


async def _signed_in(http: aiohttp.ClientSession, name: str) -> str:
    async with http.post("/dev/token", json={"tenant": "acme", "as": name}) as answer:
        return str((await answer.json())["token"])


async def _asked(http: aiohttp.ClientSession, token: str, path: str, body: dict[str, Any]) -> None:
    headers = {"authorization": f"Bearer {token}", "idempotency-key": str(uuid_utils.uuid7())}
    async with http.post(f"/v1/incentives{path}", json=body, headers=headers) as answer:
        assert answer.ok, await answer.text()


def _seconds(work: Callable[[], object]) -> float:
    """The time that one core works on it, whoever else works on this machine."""
    start = process_time()
    work()
    return process_time() - start
