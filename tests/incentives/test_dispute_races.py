"""A dispute and a payment that race for one line, over two processes: what is disputed first is never sent."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chassis.clock import FixedClock
from chassis.event import Actor
from chassis.execution import Executor, Order
from chassis.store.postgres import PostgresEventStore
from chassis.store.sqlite import SqliteEventStore
from services.incentives.application import HANDLES
from services.incentives.domain.account import Accounts
from services.incentives.domain.batch import ApproveBatch, PrepareBatch, SendBatch
from services.incentives.domain.line_dispute import LineDisputed
from services.incentives.domain.payee_commands import OpenPayee
from services.incentives.domain.payment import Payments
from services.incentives.domain.payment_events import PaymentBlocked, PaymentSubmitted
from tests.incentives.orders import ACCOUNT, APPROVE, NOW, PAYMENT, SUBMIT, issued, line, proposal, statement
from tests.incentives.test_line_disputes import DISPUTE

TENANT = "acme"
LINES = (line("60.00", 5), line("40.00", 6))
FIRST_STEPS = (
    OpenPayee(partner_id="p1", revision=1, now=NOW),
    statement(*LINES),
    proposal(issued(*LINES)),
)
BATCH = {"batch_id": "b1", "payment_ids": (PAYMENT,), "now": NOW}
KNOWN = {"payee_ids": ("p1",), "rules": ()}
PREPARE = PrepareBatch(**BATCH, currency="EUR", day=NOW.date(), by="fin-1")
APPROVE_ALL = ApproveBatch(**BATCH, **KNOWN, by="fin-2", roles=(), books={})
SEND = SendBatch(**BATCH, **KNOWN, by="fin-1", account_ids=(ACCOUNT,))
WAYS = [
    pytest.param((APPROVE,), SUBMIT, id="alone"),
    pytest.param((PREPARE, APPROVE_ALL), SEND, id="in-a-batch"),
]
ROUNDS = 6
RACED_ON = (Accounts.at(ACCOUNT).name(TENANT), Payments.at(PAYMENT).name(TENANT))
RACING = (LineDisputed, PaymentBlocked, PaymentSubmitted)


class Meeting:
    """A store on whose way to a commit another process comes first, once."""

    def __init__(self, store):
        self._store, self.first = store, None

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def append(self, commit):
        first, self.first = self.first, None
        if first:
            await first()
        return await self._store.append(commit)


class Replica:
    """A process of its own, as far as the database can tell."""

    def __init__(self, store):
        self.store = Meeting(store)
        self.executor = Executor(self.store, HANDLES, FixedClock(NOW))

    async def does(self, wish):
        order = Order(
            command_id=f"{wish.type}-{random.random()}",
            tenant=TENANT,
            actor=Actor(kind="service", subject="test"),
            correlation_id="c",
        )
        return await self.executor.run(order, wish)

    async def stage(self):
        return (await self.executor.state(TENANT, Payments.at(PAYMENT)))[0].stage.value

    async def disputes(self):
        return (await self.executor.state(TENANT, Accounts.at(ACCOUNT)))[0].disputes


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine)])
async def database(request, tmp_path: Path):
    """Makes stores on one new database."""
    if request.param == "sqlite":
        return lambda name: SqliteEventStore(tmp_path / f"{name}.db")
    dsn = request.getfixturevalue("postgres")
    return lambda name: PostgresEventStore(dsn, schema=name)


async def replicas(stack, database, name, steps):
    """Two processes on one database, in which a payment of both lines of a statement was approved."""
    found = []
    for _ in range(2):
        store = database(name)
        await store.migrate()
        await store.open()
        stack.push_async_callback(store.close)
        found.append(Replica(store))
    for wish in (*FIRST_STEPS, *steps):
        await found[0].does(wish)
    return found


@pytest.mark.parametrize(("steps", "send"), WAYS)
async def test_a_dispute_that_is_filed_while_a_payment_is_on_its_way_to_be_sent_stops_it(database, steps, send):
    async with AsyncExitStack() as stack:
        one, other = await replicas(stack, database, "incentives", steps)
        one.store.first = lambda: other.does(DISPUTE)
        await one.does(send)
        assert (await one.stage(), list(await one.disputes())) == ("blocked", ["e6"])


@pytest.mark.parametrize(("steps", "send"), WAYS)
async def test_a_dispute_that_comes_after_a_payment_was_sent_is_heard_and_leaves_it(database, steps, send):
    async with AsyncExitStack() as stack:
        one, other = await replicas(stack, database, "incentives", steps)
        other.store.first = lambda: one.does(send)
        await other.does(DISPUTE)
        assert (await one.stage(), list(await one.disputes())) == ("submitted", ["e6"])


@pytest.mark.parametrize(("steps", "send"), WAYS)
async def test_of_a_dispute_and_a_payment_at_once_whichever_was_first_decides(database, steps, send):
    async with AsyncExitStack() as stack:
        for number in range(ROUNDS):
            one, other = await replicas(stack, database, f"incentives_{number}", steps)
            asked = [one.does(send), other.does(DISPUTE)]
            await asyncio.gather(*(asked if number % 2 else reversed(asked)))
            log = await one.store.load_many(dict.fromkeys(RACED_ON, 0))
            happened = sorted((each for events in log.values() for each in events), key=lambda each: each.position)
            order = [type(each.event) for each in happened if isinstance(each.event, RACING)]
            assert order in ([LineDisputed, PaymentBlocked], [PaymentSubmitted, LineDisputed])
