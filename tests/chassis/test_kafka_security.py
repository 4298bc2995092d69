"""TLS and SASL: what the settings say is what the clients do, and a real broker lets in whom it should and nobody else."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr, ValidationError

from chassis.process import make_transport
from chassis.settings import ServiceSettings, WrongSetting
from chassis.testing.transport_conformance import Hearing, Travel
from chassis.transport.kafka import KafkaTransport, make_topics
from chassis.transport.kafka_security import InsecureKafka, security_of, token_provider_of
from chassis.transport.port import topic_of
from tests.engines.kafka import secured_broker

PASSWORD = "not-a-secret-of-anybody"


def client_of(**given: Any) -> dict[str, Any]:
    transport = make_transport(ServiceSettings(kafka="127.0.0.1:1", **given))
    assert isinstance(transport, KafkaTransport)
    return transport.settings.client()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that signs itself, and its key, as one PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("certificate") / "broker.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_without_settings_a_client_is_plain() -> None:
    assert security_of(ServiceSettings()) is None
    assert "security_protocol" not in client_of()


@pytest.mark.parametrize(
    ("mechanism", "protocol"),
    [("", "SSL"), ("PLAIN", "SASL_SSL"), ("SCRAM-SHA-256", "SASL_SSL"), ("SCRAM-SHA-512", "SASL_SSL")],
)
def test_what_the_settings_say_reaches_the_clients(mechanism: str, protocol: str) -> None:
    client = client_of(
        kafka_tls=True, kafka_mechanism=mechanism, kafka_user="entente", kafka_password=SecretStr(PASSWORD)
    )

    assert client["security_protocol"] == protocol
    assert client["ssl_context"].verify_mode == ssl.CERT_REQUIRED
    assert client["ssl_context"].check_hostname
    if mechanism:
        signs_in = (client["sasl_mechanism"], client["sasl_plain_username"], client["sasl_plain_password"])
        assert signs_in == (mechanism, "entente", PASSWORD)


async def test_a_bearer_token_is_read_anew_at_each_sign_in(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    client = client_of(kafka_tls=True, kafka_mechanism="OAUTHBEARER", kafka_token=file)

    assert (client["security_protocol"], client["sasl_mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    assert await client["sasl_oauth_token_provider"].token() == "first"
    file.write_text("second")
    assert await client["sasl_oauth_token_provider"].token() == "second"


def test_a_password_needs_tls_outside_development() -> None:
    given: dict[str, Any] = {"kafka_mechanism": "PLAIN", "kafka_user": "entente", "kafka_password": PASSWORD}

    assert security_of(ServiceSettings(**given)) is not None
    with pytest.raises(InsecureKafka, match="ENTENTE_KAFKA_TLS"):
        security_of(ServiceSettings(environment="production", **given))


def test_what_cannot_work_is_refused_at_once() -> None:
    with pytest.raises(ValidationError):
        ServiceSettings(kafka_mechanism="MD5")  # type: ignore[arg-type]
    with pytest.raises(WrongSetting, match="ENTENTE_KAFKA_TOKEN"):
        token_provider_of(ServiceSettings(kafka_mechanism="OAUTHBEARER"))
    with pytest.raises(ValidationError, match="kafka_ca"):
        ServiceSettings(kafka_tls=True, kafka_ca=Path("/nowhere/ca.pem"))


def test_a_password_is_not_shown() -> None:
    assert PASSWORD not in repr(ServiceSettings(kafka_password=SecretStr(PASSWORD)))


@pytest.mark.long
@pytest.mark.usefixtures("kafka")
async def test_a_broker_with_tls_and_passwords_carries_messages_and_refuses_a_wrong_one(certificate: Path) -> None:
    with secured_broker(certificate, "entente", PASSWORD) as bootstrap:

        def transport(password: str) -> KafkaTransport:
            given: dict[str, Any] = {"kafka_tls": True, "kafka_ca": certificate, "kafka_mechanism": "PLAIN"}
            made = make_transport(
                ServiceSettings(kafka=bootstrap, kafka_user="entente", kafka_password=SecretStr(password), **given)
            )
            assert isinstance(made, KafkaTransport)
            return made

        with pytest.raises(KafkaConnectionError):  # the library says no more of a refused password
            await make_topics([topic_of("secured")], transport("a wrong one").settings)
        await make_topics([topic_of("secured")], transport(PASSWORD).settings)
        hearing = Hearing()
        travel = Travel(make=lambda: transport(PASSWORD), service="secured")
        async with travel.running(reader=hearing):
            await travel.feed.commit(1, 2, 3)
            await hearing.until(lambda: len(hearing.heard) >= 3)
        assert hearing.numbers() == [1, 2, 3]
