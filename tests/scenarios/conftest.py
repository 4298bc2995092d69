"""The engines of five processes, named to each of them by the environment."""

import pytest

from tests.engines.kafka import Broker


@pytest.fixture(params=["mongo", "postgres"])
def engines(
    request: pytest.FixtureRequest, broker: Broker, postgres: str, mongo: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The profile's engines, named to every process by the environment: full with MongoDB, compact without."""
    read_store = mongo if request.param == "mongo" else postgres
    monkeypatch.setenv("ENTENTE_KAFKA", broker.bootstrap)
    monkeypatch.setenv("ENTENTE_POSTGRES", postgres)
    monkeypatch.setenv("ENTENTE_READ_STORE", read_store)
    return {"postgres": postgres, "read_store": read_store}
