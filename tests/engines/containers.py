"""The engines from the official images that `compose.yaml` names, by testcontainers, for where Docker answers.

With ENTENTE_ENGINES=docker every test that shares an engine with others meets these (`tests/conftest.py`).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import docker
import psycopg
import requests
import yaml
from docker.errors import DockerException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests.engines import EngineFailed, free_port
from tests.engines.kafka import STARTED
from tests.engines.mongo import _answers as mongo_answers
from tests.engines.mongo import url_at

COMPOSE = Path(__file__).parents[2] / "compose.yaml"
INSIDE = {"postgres": 5432, "kafka": 9093, "mongo": 27017}
"""Where each engine listens in its container."""
DOCKER_SECONDS, START_SECONDS, LOOK_SECONDS = 5, 120.0, 0.2


def missing() -> str | None:
    """Why no container can run here, or None."""
    try:
        client = docker.from_env(timeout=DOCKER_SECONDS)
    except (DockerException, requests.RequestException) as problem:
        return f"Docker does not answer: {problem}"
    client.close()
    return None


@contextmanager
def running_postgres() -> Iterator[str]:
    """The DSN of a fresh server's database."""
    with started("postgres") as (_, port):
        dsn = f"postgresql://entente:entente@127.0.0.1:{port}/entente"
        _until(lambda: _serves(dsn))
        yield dsn


@contextmanager
def running_kafka() -> Iterator[str]:
    """The bootstrap servers of a broker with an empty log."""
    port = free_port()
    listeners = {
        "KAFKA_ADVERTISED_LISTENERS": f"INSIDE://localhost:9092,OUTSIDE://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
    }
    with started("kafka", port, **listeners) as (container, _):
        _until(lambda: STARTED.encode() in b"".join(container.get_logs()))
        yield f"127.0.0.1:{port}"


@contextmanager
def running_mongo() -> Iterator[str]:
    """The URL of a fresh MongoDB."""
    with started("mongo") as (_, port):
        _until(lambda: mongo_answers(url_at(port)))
        yield url_at(port)


RUNNING = {"postgres": running_postgres, "kafka": running_kafka, "mongo": running_mongo}


def running(engine: str) -> AbstractContextManager[str]:
    """How an engine is reached that begins now. Raises EngineFailed where Docker does not answer."""
    if reason := missing():
        raise EngineFailed(reason)
    return RUNNING[engine]()


@contextmanager
def started(engine: str, port: int | None = None, **environment: str) -> Iterator[tuple[DockerContainer, int]]:
    """A container of what `compose.yaml` says of an engine, and its port on loopback; gone afterwards, with its files."""
    # It would watch over containers from one of its own, which listens on all addresses.
    testcontainers_config.ryuk_disabled = True
    said: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"][engine]
    container = DockerContainer(said["image"]).with_envs(**said.get("environment", {}) | environment)
    port = port or free_port()
    # Set directly: what `with_bind_ports` and `with_exposed_ports` make listens on all addresses.
    container.ports = {f"{INSIDE[engine]}/tcp": ("127.0.0.1", port)}  # type: ignore[dict-item]
    with container:
        yield container, port


def _serves(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=DOCKER_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def _until(serves: Callable[[], bool]) -> None:
    end = time.monotonic() + START_SECONDS
    while not serves():
        if time.monotonic() > end:
            raise EngineFailed(f"the container does not serve after {START_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
