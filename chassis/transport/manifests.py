"""Topics, principals and their rights as manifests that an administrator of Kafka applies (Strimzi's kinds)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chassis.transport.kafka import Settings, topic_config
from chassis.transport.port import topic_of

CLUSTER = "kafka"
OWN, HEARD, GROUPS = "Describe, DescribeConfigs, Read, Write", "Describe, Read", "Describe, Read"
"""Its own topic a service reads too: the relay looks where it ends."""


@dataclass(frozen=True)
class Party:
    """A service, and the services that it hears."""

    name: str
    hears: frozenset[str]


def manifests(parties: Sequence[Party], settings: Settings) -> str:
    """One YAML document a topic and a principal: each service writes to its own topic, and reads what it hears."""
    documents = [_topic(one, settings) for one in parties] + [_user(one) for one in parties]
    return "---\n".join("\n".join(lines) + "\n" for lines in documents)


def _head(kind: str, name: str) -> list[str]:
    labels = ["  labels:", f"    strimzi.io/cluster: {CLUSTER}"]
    return ["apiVersion: kafka.strimzi.io/v1beta2", f"kind: {kind}", "metadata:", f"  name: {name}", *labels, "spec:"]


def _topic(party: Party, settings: Settings) -> list[str]:
    config = [f"    {name}: {value}" for name, value in topic_config(settings).items()]
    size = [f"  partitions: {settings.partitions}", f"  replicas: {settings.replication}", "  config:"]
    return [*_head("KafkaTopic", topic_of(party.name)), *size, *config]


def _user(party: Party) -> list[str]:
    rights = [line for right in _rights(party) for line in right]
    named = ["  authentication:", "    type: scram-sha-512", "  authorization:", "    type: simple", "    acls:"]
    return [*_head("KafkaUser", topic_of(party.name)), *named, *rights]


def _rights(party: Party) -> Iterator[list[str]]:
    yield _right("topic", topic_of(party.name), "literal", OWN)
    for name in sorted(party.hears - {party.name}):
        yield _right("topic", topic_of(name), "literal", HEARD)
    yield _right("group", f"{topic_of(party.name)}.", "prefix", GROUPS)


def _right(kind: str, name: str, pattern: str, operations: str) -> list[str]:
    resource = ["          type: " + kind, "          name: " + name, "          patternType: " + pattern]
    return ["      - resource:", *resource, f"        operations: [{operations}]"]
