"""Kafka killed and started again under load: commands are answered meanwhile, nothing is lost, nothing happens twice."""

import asyncio
import time
from pathlib import Path

import pytest

from chassis.transport.kafka import Settings, make_topics
from chassis.transport.port import topic_of
from contracts.catalogue import SERVICES
from tests.engines.kafka import Broker
from tests.faults.checking import all_is_well_after
from tests.faults.child import child
from tests.faults.load import BEGINNING, Load, clients

LANES, MEANWHILE = 3, 20
ANSWER_MAX_SECONDS, CATCH_UP_MAX_SECONDS = 15.0, 90.0


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_a_broker_killed_under_load_loses_nothing_and_holds_up_no_command(tmp_path: Path, broker: Broker) -> None:
    one_broker = Settings(bootstrap=broker.bootstrap, partitions=1, replication=1)
    await make_topics([topic_of(service) for service in SERVICES], one_broker)
    with child(tmp_path / "data", {"ENTENTE_KAFKA": broker.bootstrap}) as system:
        async with clients(system, seed=3) as load:
            system.start()
            await asyncio.to_thread(system.wait_ready)
            await load.set_clock(BEGINNING)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run(LANES))
                await load.register("northwind", "before")  # its partner is known by then: Kafka tells of it
                await asyncio.sleep(2.0)
                await asyncio.to_thread(broker.kill)
                await answered_meanwhile(load)
                load.stopping.set()
                await asyncio.to_thread(broker.start)
                back = time.monotonic()
            # The group ends when every deal that was begun has come to its end.
            assert time.monotonic() - back < CATCH_UP_MAX_SECONDS
            code, _ = await asyncio.to_thread(system.terminate)
            assert code == 0, system.last_words()
            await all_is_well_after(load)


async def answered_meanwhile(load: Load) -> None:
    for number in range(MEANWHILE):
        began = time.monotonic()
        await load.register("northwind", f"meanwhile-{number}")
        assert time.monotonic() - began < ANSWER_MAX_SECONDS
