"""The engines of five processes, named to each of them by the environment."""

from collections.abc import Iterator

import pytest
from pymongo import MongoClient

from contracts.catalogue import SERVICES
from tests.engines.kafka import Broker


@pytest.fixture(params=["mongo", "postgres"])
def engines(
    request: pytest.FixtureRequest, broker: Broker, postgres: str, mongo: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The profile's engines, named to every process by the environment: full with MongoDB, compact without."""
    read_store = mongo if request.param == "mongo" else postgres
    monkeypatch.setenv("ENTENTE_KAFKA", broker.bootstrap)
    monkeypatch.setenv("ENTENTE_POSTGRES", postgres)
    monkeypatch.setenv("ENTENTE_READ_STORE", read_store)
    yield {"postgres": postgres, "read_store": read_store}
    with MongoClient[dict[str, object]](mongo) as client:  # which the session shares
        for name in SERVICES:
            client.drop_database(f"entente_{name}")
