"""What every test may ask for: the real engines, each skipped with its reason where it is not installed.

With ENTENTE_ENGINES=required, as in CI, a missing engine fails the test that asks for it. With ENTENTE_ENGINES=docker
PostgreSQL, Kafka and MongoDB come from their official images, but for tests that kill or freeze theirs.
"""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.engines import (
    accounting,
    asyncapi,
    chromium,
    containers,
    kafka,
    kustomize,
    mongo,
    openbao,
    postgres,
    promtool,
)
from tests.engines.kafka import Broker

BROKERS = frozenset({"broker", "kafka", "three_engines"})
ENGINES = BROKERS | {
    "accounting",
    "asyncapi_complaints",
    "bao",
    "chromium",
    "kustomize",
    "mongo",
    "postgres",
    "postgres_server",
    "promtool",
}

Missing = Callable[[], str | None]
Running = Callable[[], AbstractContextManager[str]]
MEMORY, ROOM_BYTES = Path("/dev/shm"), 8 << 30

# Two cores are shared by both workers and the engines, so the time of one example says nothing. A change is judged on
# examples that are the same each time; everybody else looks further with each run.
settings.register_profile("entente", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("entente")


def pytest_configure() -> None:
    """What tests and engines write is in memory where that has room: none of it outlives the machine, and a flush takes time.

    A process that is killed leaves there what it leaves on a disk.
    """
    if _has_room(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _has_room(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= ROOM_BYTES and not found.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs an engine, and keep all Kafka tests on one xdist worker: one JVM is enough for two cores."""
    for item in items:
        wanted = ENGINES.intersection(getattr(item, "fixturenames", ()))
        if wanted:
            item.add_marker(pytest.mark.engine)
        if wanted & BROKERS:
            item.add_marker(pytest.mark.xdist_group("kafka"))


def pytest_collection_finish() -> None:
    """What is collected stays to the end, and nobody looks through it for garbage again."""
    gc.freeze()


def _need(reason: str | None) -> None:
    """Skips where an engine is not installed; where `.ci/run` judges, every engine has to be there, and it fails."""
    if reason is None:
        return
    if os.environ.get("ENTENTE_ENGINES") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


def _running(name: str, missing: Missing, running: Running) -> AbstractContextManager[str]:
    """An engine from its official image where ENTENTE_ENGINES=docker says so, else as it is installed here."""
    if os.environ.get("ENTENTE_ENGINES") == "docker":
        return containers.running(name)
    _need(missing())
    return running()


@pytest.fixture(scope="session", name="kafka")
def kafka_fixture() -> Iterator[str]:
    """The bootstrap servers of a real broker, shared by the session: name topics and groups after your test."""
    with _running("kafka", kafka.missing, kafka.running_kafka) as bootstrap:
        yield bootstrap


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A real broker of the test's own, which it may kill, freeze and start again."""
    _need(kafka.missing())
    with kafka.running_broker() as running:
        yield running


@pytest.fixture
def three_engines() -> None:
    """Asks for Kafka, PostgreSQL and the Mongo-wire server, which the test starts by itself."""
    for engine in (kafka, postgres, mongo):
        _need(engine.missing())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The DSN of a real server, one for each xdist worker."""
    with _running("postgres", postgres.missing, postgres.running_postgres) as dsn:
        yield dsn


@pytest.fixture(name="postgres")
def postgres_fixture(postgres_server: str) -> Iterator[str]:
    """The DSN of an empty database of the test's own."""
    with postgres.fresh_database(postgres_server) as dsn:
        yield dsn


@pytest.fixture(scope="session", name="mongo")
def mongo_fixture() -> Iterator[str]:
    """The URL of a server that speaks MongoDB's protocol, one for each xdist worker: name databases after your test."""
    with _running("mongo", mongo.missing, mongo.running_mongo) as url:
        yield url


@pytest.fixture(scope="module")
def bao() -> Iterator[openbao.OpenBao]:
    """A real KMS with a transit engine, for the tests of a module."""
    _need(openbao.missing())
    with openbao.running_openbao() as engine:
        yield engine


@pytest.fixture(scope="session", name="chromium")
def chromium_fixture() -> str:
    """The path of the system's Chromium, for Playwright's `executable_path`."""
    _need(chromium.missing())
    return chromium.chromium_path()


@pytest.fixture(scope="session", name="kustomize")
def kustomize_fixture() -> str:
    """The path of kustomize."""
    _need(kustomize.missing())
    return str(kustomize.path())


@pytest.fixture(scope="session", name="accounting")
def accounting_fixture() -> Callable[[str], dict[tuple[str, str], Decimal]]:
    """What the accounting program makes of a journal."""
    _need(accounting.missing())
    return accounting.balances


@pytest.fixture(scope="session", name="promtool")
def promtool_fixture() -> str:
    """The path of promtool."""
    _need(promtool.missing())
    return str(promtool.path())


@pytest.fixture(scope="session")
def asyncapi_complaints() -> Callable[[str], list[str]]:
    """What AsyncAPI's own parser holds against a document."""
    _need(asyncapi.missing())
    return asyncapi.complaints
