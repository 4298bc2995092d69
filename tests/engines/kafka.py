"""Apache Kafka: one broker in one JVM that is its own controller, on loopback, its log in a temporary folder.

`running_kafka` serves the tests that need a broker; `running_broker` those that also kill, freeze or restart it.
"""

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.engines import FOLDER, INSTALL, Engine, at_work, free_port, temporary_folder

JARS = FOLDER / "kafka"
STARTED = "Kafka Server started"
HEAP = "-Xmx384m"
CLUSTER = "ZW50ZW50ZS1vbi1sb29wYg"
"""The id of every cluster: no two of them ever meet."""

# One node replicates nothing, and small internal topics and cleaner buffers keep it under half a gigabyte.
SETTINGS = """\
process.roles=broker,controller
node.id=1
listeners={protocol}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={protocol}://{advertised}
inter.broker.listener.name={protocol}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs={folder}/log
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
"""

SECURED = """\
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username="{user}" password="{password}" user_{user}="{password}";
ssl.keystore.type=PEM
ssl.keystore.location={pem}
ssl.truststore.type=PEM
ssl.truststore.location={pem}
"""


GUARDED = """\
listener.security.protocol.map=SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username="{owner}" password="{password}" {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{owner};User:ANONYMOUS
"""


def missing() -> str | None:
    """Why no broker can run here, or None."""
    if shutil.which("java") is None:
        return f"Kafka needs Java: {INSTALL}"
    return None if any(JARS.glob("kafka_*.jar")) else f"Kafka is not in .engines/: {INSTALL}"


class Broker(Engine):
    """One broker in one JVM. `advertised` is where clients are sent, when something stands between."""

    def __init__(
        self, folder: Path, protocol: str = "PLAINTEXT", more: str = "", advertised: str | None = None
    ) -> None:
        super().__init__(folder / "broker.txt")
        self.folder = folder
        port = free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self._settings = folder / "server.properties"
        places = {"port": port, "controller_port": free_port(), "advertised": advertised or self.bootstrap}
        self._settings.write_text(SETTINGS.format(**places, folder=folder, protocol=protocol) + more)
        if not (folder / "log" / "meta.properties").exists():
            self._format()

    def _command(self) -> list[str]:
        return _java("kafka.Kafka", self._settings)

    def _serves(self) -> bool:
        return STARTED in self._log.read_text()

    def _format(self) -> None:
        log = self.folder / "log"
        log.mkdir(exist_ok=True)
        for name, content in _formatted().items():
            (log / name).write_bytes(content)


@cache
def _formatted() -> Mapping[str, bytes]:
    """The files of a log that holds nothing yet: they name no port and no place, and Kafka's tool takes as long as a start."""
    with temporary_folder("entente-kafka-") as folder:
        settings, log = folder / "server.properties", folder / "log"
        places = {"port": 9092, "controller_port": 9093, "advertised": "127.0.0.1:9092"}
        settings.write_text(SETTINGS.format(**places, folder=folder, protocol="PLAINTEXT"))
        command = _java("kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER, "--config", settings)
        subprocess.run(command, check=True, capture_output=True)
        return {file.name: file.read_bytes() for file in sorted(log.iterdir())}


def _java(main: str, *arguments: str | Path) -> list[str]:
    # The client compiler alone halves the time to start; a test never runs long enough to miss the other.
    switches = (HEAP, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
    return ["java", *switches, "-cp", f"{JARS}/*", main, *map(str, arguments)]


@contextmanager
def running_broker() -> Iterator[Broker]:
    """A started broker with an empty log; both are gone afterwards."""
    with temporary_folder("entente-kafka-") as folder:
        broker = Broker(folder)
        with at_work(broker):
            yield broker


@contextmanager
def secured_broker(pem: Path, user: str, password: str) -> Iterator[str]:
    """The bootstrap servers of a broker with TLS by this certificate and key, which lets in one user."""
    with temporary_folder("entente-kafka-") as folder:
        broker = Broker(folder, "SASL_SSL", SECURED.format(pem=pem, user=user, password=password))
        with at_work(broker):
            yield broker.bootstrap


@contextmanager
def guarded_broker(owner: str, users: Iterable[str], password: str) -> Iterator[str]:
    """The bootstrap servers of a broker that refuses everything to everybody but its owner; rights are given later."""
    known = " ".join(f'user_{user}="{password}"' for user in (owner, *users))
    more = GUARDED.format(owner=owner, password=password, users=known)
    with temporary_folder("entente-kafka-") as folder:
        broker = Broker(folder, "SASL_PLAINTEXT", more)
        with at_work(broker):
            yield broker.bootstrap


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The bootstrap servers of a broker whose log is, and stays, in the folder."""
    broker = Broker(folder)
    with at_work(broker):
        yield broker.bootstrap


@contextmanager
def running_kafka() -> Iterator[str]:
    """The bootstrap servers of a fresh broker. Topics are not made by use: make them."""
    with running_broker() as broker:
        yield broker.bootstrap
