"""Kafka's manifests are those that the services' own declarations make, and give nobody more than it needs."""

import subprocess
import sys
from typing import Any

import pytest
import yaml

from contracts.catalogue import SERVICES
from tests.architecture.tree import ROOT

FILE = ROOT / "deploy/kafka/entente.yaml"
READ = ["Describe", "Read"]


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(FILE.read_text()))


def rights(manifests: list[dict[str, Any]], service: str) -> dict[str, list[str]]:
    """What a service may do, by resource."""
    [user] = [
        one for one in manifests if one["kind"] == "KafkaUser" and one["metadata"]["name"] == f"entente.{service}"
    ]
    acls = user["spec"]["authorization"]["acls"]
    return {f"{one['resource']['type']} {one['resource']['name']}": one["operations"] for one in acls}


def test_the_file_is_what_the_command_prints() -> None:
    command = [sys.executable, "-m", "services", "kafka-manifests"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout
    assert printed == FILE.read_text(), "run `make kafka-manifests`"


def test_each_service_has_a_topic_that_survives_a_lost_broker(manifests: list[dict[str, Any]]) -> None:
    topics = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "KafkaTopic"}
    assert set(topics) == {f"entente.{service}" for service in SERVICES}
    thirty_days = {"cleanup.policy": "delete", "min.insync.replicas": 2, "retention.ms": 2_592_000_000}
    for spec in topics.values():
        assert spec == {"partitions": 12, "replicas": 3, "config": thirty_days}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_writes_to_its_own_topic_alone(manifests: list[dict[str, Any]], service: str) -> None:
    mine = rights(manifests, service)
    assert [name for name, operations in mine.items() if "Write" in operations] == [f"topic entente.{service}"]
    assert mine[f"group entente.{service}."] == READ


def test_a_service_reads_what_it_listens_to_and_nothing_else(manifests: list[dict[str, Any]]) -> None:
    heard = {name for name in rights(manifests, "attribution") if name.startswith("topic")}
    assert heard == {"topic entente.attribution", "topic entente.onboarding", "topic entente.registration"}
