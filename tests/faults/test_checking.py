"""The checker of the faults: what holds passes, and each thing that does not is counted or named."""

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from services import first_run
from tests.faults.checking import Checker, ReadModels, read_models
from tests.faults.load import DEALS, Acknowledged, Load, Sale
from tests.scenarios.system import System, done, running_system


@dataclass
class Here:
    """A system in this process, as clients know it."""

    data: Path
    address: str = ""
    crm: str = ""

    def last_words(self) -> str:
        return ""


@asynccontextmanager
async def one_deal(folder: Path) -> AsyncIterator[tuple[System, Load, ReadModels]]:
    """A system with one registered deal that its client knows of."""
    async with (
        running_system(folder / "data") as it,
        read_models(it, folder) as mine,
        aiohttp.ClientSession() as http,
    ):
        load = Load(Here(folder / "data"), random.Random(1), http)
        body = load.wish()
        subject = done(await it.front.post("/dev/token", {"tenant": first_run.TENANT, "as": "northwind"}))["subject"]
        answer = await (await it.who("northwind")).post(DEALS, body, key="deal")
        made = Acknowledged("northwind", subject, DEALS, body, "deal", answer.status, done(answer, 201))
        load.acknowledged["northwind deal"] = made
        load.sales.append(Sale(made.answer["registration_id"]))
        yield it, load, mine


async def test_what_holds_passes_and_what_is_lost_or_done_twice_is_counted_once(tmp_path: Path) -> None:
    async with one_deal(tmp_path) as (it, load, mine):
        checker, [sale] = Checker(it, load, mine, patience_seconds=1.0), load.sales
        assert (await checker.counted(), await checker.wrong()) == (({}, {}), [])
        load.sales.append(Sale("not-there"))
        load.applied.append("nobody")
        checker.paid = 1
        missing = {"registration.DealRegistered.v1 not-there": 1, "new partner nobody": 1, "transfer paid 2000.00": 1}
        assert await checker.counted() == (missing, {})
        assert await checker.counted() == ({}, {})
        load.sales.remove(sale)
        assert await checker.counted() == ({}, {f"registration.DealRegistered.v1 {sale.registration_id}": 1})


async def test_an_answer_that_is_another_the_second_time_is_named(tmp_path: Path) -> None:
    async with one_deal(tmp_path) as (it, load, mine):
        [made] = load.acknowledged.values()
        load.acknowledged["northwind deal"] = Acknowledged(**{**vars(made), "answer": {"status": "approved"}})
        [wrong] = await Checker(it, load, mine).wrong()
        assert wrong.startswith("deal is answered ")


async def test_a_document_that_differs_and_a_leaf_that_is_not_of_its_event_are_named(tmp_path: Path) -> None:
    async with one_deal(tmp_path) as (it, load, mine):
        checker = Checker(it, load, mine)
        assert await checker.wrong() == []
        [board] = [one.model for one in it.services["registration"].runner.lag() if one.name == "deal_board"]
        changed(tmp_path / "registration.db", f'DELETE FROM "{board}"')
        [leaves] = (tmp_path / "data" / "onboarding").glob("*-witness-*.db")
        changed(leaves, "UPDATE leaf SET hash = zeroblob(32) WHERE number = 0")
        named = [wrong.partition(":")[0] for wrong in await checker.wrong()]
        assert named[-1] == "registration/deal_board"
        assert set(named[:-1]) == {"onboarding"}


def changed(file: Path, statement: str) -> None:
    with sqlite3.connect(file) as database:
        assert database.execute(statement).rowcount > 0
    database.close()
