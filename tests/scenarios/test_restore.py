"""The logs lost and brought back, as docs/deploying.md says, on real PostgreSQL."""

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from contracts.catalogue import SERVICES
from services import first_run
from tests.architecture.tree import ROOT
from tests.engines import postgres as engine
from tests.scenarios.distributed import five_processes
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.proofs import every_log_is_what_it_was
from tests.scenarios.system import System, done, running_system

SCRIPT = ROOT / "deploy/postgres/logs"
RUN_SECONDS = 240
Working = Callable[..., AbstractAsyncContextManager[System]]
ORDER = ["onboarding", "registration", "attribution", "incentives", "gateway"]


@pytest.fixture
def logs(postgres: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The DSN of the logs' database; read models are elsewhere, and are not lost with it."""
    monkeypatch.setenv("ENTENTE_POSTGRES", postgres)
    return postgres


def ran(*command: str | Path, dsn: str | None = None, status: int = 0) -> str:
    """What a command says, which finds the database by the environment, or by this DSN."""
    path = f"{Path(engine._program('pg_dump')).parent}:{os.environ['PATH']}"
    told = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PATH": path} | ({"ENTENTE_POSTGRES": dsn} if dsn else {}),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert told.returncode == status, told.stdout + told.stderr
    return told.stdout + told.stderr


def lose(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        for name in SERVICES:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


async def registered(it: System, name: str) -> str:
    """A deal of that customer, approved."""
    north, dora = await it.who("northwind"), await it.who("dora")
    made: str = done(await north.post(DEALS, deal(name, f"www.{name.lower()}.de"), key=name), 201)["registration_id"]
    done(await dora.post(f"{DEALS}/{made}/approve", key=f"approve-{name}"))
    return made


@asynccontextmanager
async def at_work(data: Path, *, roles: str = '["api", "work"]', opened: bool = False) -> AsyncIterator[System]:
    """The system on what the environment names; with `opened`, after its first run."""
    with pytest.MonkeyPatch.context() as how:
        how.setenv("ENTENTE_ROLES", roles)
        async with running_system(data, opened=opened) as it:
            yield it


@asynccontextmanager
async def five_at_work(data: Path, *, roles: str = '["api", "work"]', opened: bool = False) -> AsyncIterator[System]:
    """As `at_work`, on five processes, which are opened in any case."""
    with pytest.MonkeyPatch.context() as how:
        how.setenv("ENTENTE_ROLES", roles)
        async with five_processes(data, working="work" in roles) as it:
            yield it


async def backed_up_before_attribution_hears(data: Path, to: Path, working: Working = at_work) -> str:
    """A backup taken while requests are answered. Its last deal is approved, and nobody else has heard of it."""
    async with working(data, roles='["api"]') as it:
        late = await registered(it, "Tailspin")
        said = await asyncio.to_thread(ran, SCRIPT, "backup", to)
        assert said == f"{to} holds the logs of onboarding registration attribution incentives gateway\n"
        for who in (os.environ["ENTENTE_POSTGRES"], administrator(os.environ["ENTENTE_POSTGRES"])):
            told = await asyncio.to_thread(ran, SCRIPT, "restore", to, dsn=who, status=1)
            assert "connections work with this database" in told
    return late


def administrator(dsn: str) -> str:
    """The DSN by which another role than the services' comes to the database, which may do everything there."""
    with psycopg.connect(dsn) as connection, suppress(psycopg.errors.DuplicateObject):
        connection.execute("CREATE ROLE restorer SUPERUSER LOGIN")
    return urlsplit(dsn)._replace(netloc=f"restorer@{dsn.rpartition('@')[2].partition('/')[0]}").geturl()


def owners(dsn: str) -> set[tuple[str, str]]:
    """Whom the logs belong to, by service."""
    with psycopg.connect(dsn) as connection:
        asked = "SELECT schemaname, tableowner FROM pg_tables WHERE tablename = 'stored_events'"
        return set(connection.execute(asked).fetchall())


async def made_whole(data: Path) -> dict[str, list[str]]:
    """What each service says that is reconciled: one after the other, as nobody prescribes an order."""
    command = ("reconcile", "--restored", "--by", "dana", "--data", data)
    told = {
        name: await asyncio.to_thread(ran, sys.executable, "-m", f"services.{name}", *command)
        for name in sorted(SERVICES)
    }
    return {name: said.splitlines() for name, said in told.items()}


async def shown(it: System) -> list[set[str]]:
    """The deals of registration's own read model, and those of which the gateway has heard."""
    north = await it.who("northwind")
    lists = [done(await north.get(path))["items"] for path in (DEALS, "/v1/deals")]
    return [{one["registration_id"] for one in found} for found in lists]


async def opportunities(it: System) -> Counter[str]:
    """How often attribution says that it opened the opportunity of a deal."""
    return Counter(one["data"]["registration_id"] for one in await it.events("attribution.OpportunityLinked"))


async def in_crm(it: System) -> Counter[str]:
    """How often the CRM holds each registered deal."""
    return Counter(one["properties"]["entente_registration_id"] for one in (await it.crm("/sim/deals"))["results"])


async def won(it: System, deal_id: str) -> None:
    """The CRM says that it is won, and was heard."""
    [found] = (await it.crm(f"/sim/deals?registration_id={deal_id}"))["results"]
    await it.crm(f"/sim/deals/{found['id']}/win", {})
    await heard_the_crm(it)


async def heard_the_crm(it: System) -> None:
    """Attribution has read what the CRM holds, and everybody what came of it."""
    done(await (await it.who("dora")).post(f"/v1/attribution/connections/{it.connection_id}/poll"))
    await it.settle()


async def paid(it: System) -> Counter[str]:
    """How often something was earned by each deal."""
    return Counter(one["data"]["registration_id"] for one in await it.events("incentives.PayoutCalculated"))


def all_are_made_whole(told: dict[str, list[str]]) -> None:
    for name, lines in told.items():
        assert re.fullmatch(rf"{name}: epoch 2 begins, .*, 0 commands rest on what is lost", lines[-1]), lines


@pytest.mark.timeout(600)
async def test_logs_that_were_lost_and_brought_back_go_on(tmp_path: Path, logs: str) -> None:
    data, kept = tmp_path / "data", tmp_path / "logs.dump"
    async with at_work(data, opened=True) as it:
        first = await registered(it, "Contoso")
        await it.settle()
    late = await backed_up_before_attribution_hears(data, kept)
    async with at_work(data) as it:
        gone = await registered(it, "Fabrikam")
        await all_is_as_it_should_be(it, {first, late, gone})
    whose = owners(logs)
    lose(logs)

    said = await asyncio.to_thread(ran, SCRIPT, "restore", kept, dsn=administrator(logs))
    assert owners(logs) == whose != set()
    assert [line.partition(": the log ends at ")[0] for line in said.splitlines()] == ORDER
    all_are_made_whole(await made_whole(data))

    async with at_work(data) as it:
        await all_is_as_it_should_be(it, {first, late}, crm={first, late, gone})
        again = await registered(it, "Fabrikam")
        await all_is_as_it_should_be(it, {first, late, again}, crm={first, late, gone, again})
    await every_log_is_what_it_was(data, logs)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("engines", ["mongo"], indirect=True)
async def test_logs_that_five_processes_lost_are_gone_on_with_over_kafka(
    tmp_path: Path, engines: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the CRM said since the backup is heard again, and pays once."""
    monkeypatch.setattr(first_run, "POLL_SECONDS", 3_600)  # the CRM is read when the story says so
    data, kept = tmp_path / "data", tmp_path / "logs.dump"
    async with five_at_work(data) as it:
        first = await registered(it, "Contoso")
        await it.settle()
    late = await backed_up_before_attribution_hears(data, kept, five_at_work)
    async with five_at_work(data) as it:
        gone = await registered(it, "Fabrikam")
        await all_is_as_it_should_be(it, {first, late, gone})
        await won(it, first)
        assert await paid(it) == {first: 1}
    lose(engines["postgres"])

    await asyncio.to_thread(ran, SCRIPT, "restore", kept)
    all_are_made_whole(await made_whole(data))

    async with five_at_work(data) as it:
        await all_is_as_it_should_be(it, {first, late}, crm={first, late, gone})
        await heard_the_crm(it)
        again = await registered(it, "Fabrikam")
        await all_is_as_it_should_be(it, {first, late, again}, crm={first, late, gone, again})
        assert await paid(it) == {first: 1}
    await every_log_is_what_it_was(data, engines["postgres"])


async def all_is_as_it_should_be(it: System, deals: set[str], crm: set[str] | None = None) -> None:
    """Every deal is shown, in its own service and where it was heard of, and was acted upon once."""
    await it.settle()
    assert await shown(it) == [deals] * 2
    assert await opportunities(it) == dict.fromkeys(deals, 1)
    assert await in_crm(it) == dict.fromkeys(crm or deals, 1)
    assert await it.parked() == 0


def test_what_is_no_backup_of_all_logs_changes_nothing(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTENTE_POSTGRES", postgres)
    kept = tmp_path / "logs.dump"
    kept.write_text("not a backup")
    with psycopg.connect(postgres) as connection:
        connection.execute("CREATE SCHEMA registration CREATE TABLE stored_events (notification_id bigint)")
    assert "is there: nothing is written over" in ran(SCRIPT, "backup", kept, status=1)
    assert "is no backup: nothing is changed" in ran(SCRIPT, "restore", kept, status=1)
    part = tmp_path / "part.dump"
    ran(SCRIPT, "backup", part)
    assert "holds no log of onboarding: nothing is changed" in ran(SCRIPT, "restore", part, status=1)
    with psycopg.connect(postgres) as connection:
        assert connection.execute("SELECT count(*) FROM registration.stored_events").fetchone() == (0,)
