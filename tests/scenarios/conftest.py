"""The engines of five processes, named to each of them by the environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from chassis.keys import FileKeyWrapper
from contracts.catalogue import SERVICES
from tests.engines.kafka import Broker
from tests.engines.postgres import fresh_database


@pytest.fixture(params=["mongo", "postgres"])
def engines(
    request: pytest.FixtureRequest,
    broker: Broker,
    postgres_server: str,
    postgres: str,
    mongo: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, str]]:
    """The profile's engines, named to every process by the environment: full with MongoDB, compact without.

    Keys are files in the one, and in a database of their own in the other, so that both are run.
    """
    read_store = mongo if request.param == "mongo" else postgres
    monkeypatch.setenv("ENTENTE_KAFKA", broker.bootstrap)
    monkeypatch.setenv("ENTENTE_POSTGRES", postgres)
    monkeypatch.setenv("ENTENTE_READ_STORE", read_store)
    FileKeyWrapper(tmp_path / "master.key", made=True)
    monkeypatch.setenv("ENTENTE_MASTER_KEY", str(tmp_path / "master.key"))
    with fresh_database(postgres_server) as keys:
        if request.param == "postgres":
            monkeypatch.setenv("ENTENTE_KEY_STORE", keys)
        yield {"postgres": postgres, "read_store": read_store}
    with MongoClient[dict[str, object]](mongo) as client:  # which the session shares
        for name in SERVICES:
            client.drop_database(f"entente_{name}")
