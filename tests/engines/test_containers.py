"""What Docker is asked for, told by a stand-in for its daemon; and each engine at its job, where Docker answers."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import psycopg
import pytest

from chassis.testing.read_store_conformance import TENANT, filled
from tests.chassis.test_read_store import on_mongo
from tests.engines import containers
from tests.engines.test_engines import create_topic, first_of, produce

IDENTITY = "c0ffee" * 10


@dataclass
class Daemon:
    """Says yes to everything, and keeps what containers it was to make and what of them it was told."""

    made: list[dict[str, Any]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A stand-in for Docker's daemon on loopback, which the environment names."""
    kept = Daemon()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(kept))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answering(kept: Daemon) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(
                {"ApiVersion": "1.45", "Id": IDENTITY, "Config": {"Image": "one"}, "State": {}, "Name": "/one"}
            )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            path = self.path.partition("?")[0]
            if path.endswith("/containers/create"):
                kept.made.append(orjson.loads(body))
            kept.told.append(path.rpartition("/")[2])
            self._answer({"Id": IDENTITY, "Warnings": []})

        def do_DELETE(self) -> None:
            kept.told.append("remove")
            self._answer({})

        def _answer(self, said: dict[str, Any]) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            body = orjson.dumps(said)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
            return

    return Answers


@pytest.mark.parametrize(
    ("engine", "image", "inside", "environment"),
    [
        ("postgres", "postgres:15", "5432/tcp", "POSTGRES_PASSWORD=entente"),
        ("kafka", "apache/kafka:4.3.0", "9093/tcp", "KAFKA_AUTO_CREATE_TOPICS_ENABLE=false"),
        ("mongo", "mongo:7", "27017/tcp", None),
    ],
)
def test_an_engine_comes_from_its_official_image_and_listens_on_loopback_alone(
    daemon: Daemon, engine: str, image: str, inside: str, environment: str | None
) -> None:
    assert containers.missing() is None
    with containers.started(engine) as (_, port):
        assert daemon.told == ["create", "start"]
    [asked] = daemon.made
    assert asked["Image"] == image
    assert asked["HostConfig"]["PortBindings"] == {inside: [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    assert environment is None or environment in asked["Env"]
    assert daemon.told == ["create", "start", "remove"]


def test_a_broker_tells_its_clients_the_port_that_they_reach_it_at(daemon: Daemon) -> None:
    listeners = {"KAFKA_ADVERTISED_LISTENERS": "INSIDE://localhost:9092,OUTSIDE://127.0.0.1:19092"}
    with containers.started("kafka", 19092, **listeners):
        [asked] = daemon.made
    assert "KAFKA_ADVERTISED_LISTENERS=INSIDE://localhost:9092,OUTSIDE://127.0.0.1:19092" in asked["Env"]


def test_without_a_daemon_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert (containers.missing() or "").startswith("Docker does not answer: ")


# Where Docker answers


def _need() -> None:
    """Skips where no Docker answers, as where `.ci/run` judges: there a stand-in for the daemon judges what is asked for."""
    if reason := containers.missing():
        pytest.skip(reason)


async def test_documents_are_kept_by_mongodb_of_the_official_image() -> None:
    _need()
    with containers.running_mongo() as url:
        async with on_mongo(url, "containers") as store:
            await filled(store, {"a": {"n": 1}})
            assert await store.get("board", TENANT, "a") == {"n": 1}


def test_postgres_of_the_official_image_answers() -> None:
    _need()
    with containers.running_postgres() as dsn, psycopg.connect(dsn) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


async def test_a_message_goes_through_kafka_of_the_official_image() -> None:
    _need()
    with containers.running_kafka() as bootstrap:
        topic = await create_topic(bootstrap)
        await produce(bootstrap, topic, b"activated")
        assert await first_of(bootstrap, topic) == b"activated"
