"""The engines themselves: each starts here, does its job once, and is gone afterwards."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from playwright.async_api import async_playwright

from tests.architecture.tree import ROOT
from tests.engines import _is_gone, at_work, temporary_folder
from tests.engines.kafka import Broker
from tests.engines.postgres import Server


async def create_topic(bootstrap: str) -> str:
    topic = f"engines-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
    finally:
        await admin.close()
    return topic


async def produce(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all") as producer:
        await producer.send_and_wait(topic, value, key=b"acme")


async def first_of(bootstrap: str, topic: str) -> bytes | None:
    group = f"{topic}-readers"
    reader = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest")
    async with reader as consumer:
        value: bytes | None = (await consumer.getone()).value
        return value


async def test_a_message_produced_to_kafka_is_consumed(kafka: str) -> None:
    topic = await create_topic(kafka)
    await produce(kafka, topic, b"activated")
    assert await first_of(kafka, topic) == b"activated"


async def test_a_killed_broker_comes_back_with_its_log(broker: Broker) -> None:
    topic = await create_topic(broker.bootstrap)
    await produce(broker.bootstrap, topic, b"kept")
    pid = broker.pid
    broker.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    broker.start()
    assert await first_of(broker.bootstrap, topic) == b"kept"


def test_a_database_of_the_tests_own_starts_empty(postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert tables == []
        connection.execute("CREATE TABLE deal (id text PRIMARY KEY)")
        connection.execute("INSERT INTO deal VALUES ('one')")
        assert connection.execute("SELECT id FROM deal").fetchall() == [("one",)]


def test_of_a_killed_server_no_child_is_left_that_would_keep_the_next_start_from_its_files(
    postgres_server: str,
) -> None:
    with temporary_folder("entente-killed-") as folder:
        server = Server(folder / "postgres")
        with at_work(server), ExitStack() as busy:
            for _ in range(20):
                busy.callback(psycopg.connect(server.dsn).close)
            children = server._children()
            assert len(children) > 20
            server.kill()
            assert [pid for pid in children if not _is_gone(pid)] == []
            server.start()


def test_postgres_flushes_what_it_commits(postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        names = ("fsync", "synchronous_commit", "full_page_writes")
        assert [connection.execute(f"SHOW {name}").fetchone() for name in names] == [("on",)] * len(names)


async def test_chromium_shows_a_page(chromium: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.set_content("<h1>Entente</h1>")
        assert await page.inner_text("h1") == "Entente"
        await browser.close()


def test_the_asyncapi_parser_accepts_a_sound_document(asyncapi_complaints: Callable[[str], list[str]]) -> None:
    assert asyncapi_complaints('{"asyncapi": "3.0.0", "info": {"title": "Entente", "version": "1"}}') == []


def test_the_asyncapi_parser_refuses_a_broken_one(asyncapi_complaints: Callable[[str], list[str]]) -> None:
    found = asyncapi_complaints('{"asyncapi": "3.0.0", "info": {"title": "Entente"}}')
    assert any("version" in complaint for complaint in found), found


@pytest.mark.long
def test_a_command_finds_the_engines_in_its_environment_and_its_status_is_passed_on(
    kafka: str, postgres_server: str, tmp_path: Path
) -> None:
    told = "import os, sys; print(*sorted(n for n in os.environ if n.startswith('ENTENTE_')), sep='\\n'); sys.exit(7)"
    command = [sys.executable, "-m", "tests.engines", "--profile", "compact", "--", sys.executable, "-c", told]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("ENTENTE_")}

    done = subprocess.run(command, env=bare, capture_output=True, text=True, timeout=110, check=False)

    assert (done.returncode, done.stdout.split()) == (
        7,
        ["ENTENTE_KAFKA", "ENTENTE_POSTGRES", "ENTENTE_READ_STORE"],
    ), done.stderr


@pytest.mark.long
def test_the_engines_end_in_order_however_often_they_are_told_to(kafka: str, postgres_server: str) -> None:
    command = [sys.executable, "-m", "tests.engines", "--profile", "compact"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as at_work_here:
        assert at_work_here.stdout is not None
        assert any(line.startswith("# at work") for line in at_work_here.stdout)
        pid = at_work_here.pid
        engines = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(engines) == 2
        for again in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            at_work_here.send_signal(again)
            time.sleep(0.1)
        _, complained = at_work_here.communicate(timeout=110)
    assert (at_work_here.returncode, complained) == (0, "")
    assert [engine for engine in engines if not _is_gone(int(engine))] == []


def test_the_target_finds_what_needs_an_engine_wherever_it_is() -> None:
    make = ["make", "-n", "test-engines", "ARGS="]
    shown = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    selected = shown.partition("-m pytest")[2].split("--dist loadgroup")[1].split()
    assert selected == ["-m", "engine"]
    two_replicas = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        *selected,
        "tests/registration/test_two_replicas.py",
    ]
    found = subprocess.run(two_replicas, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "[short]" in found
