"""How a process proves to Kafka who it is, from plain settings: TLS, a password by SASL, or a bearer token in a file."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from faststream.security import BaseSecurity, SASLOAuthBearer, SASLPlaintext, SASLScram256, SASLScram512

from chassis.settings import ServiceSettings, WrongSetting

BY_PASSWORD: dict[str, Any] = {
    "PLAIN": SASLPlaintext,
    "SCRAM-SHA-256": SASLScram256,
    "SCRAM-SHA-512": SASLScram512,
}


class InsecureKafka(WrongSetting):
    """Outside development neither a password nor a token goes over a connection without TLS: set ENTENTE_KAFKA_TLS."""


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """The bearer token that a file holds, read at each sign-in: whoever renews it replaces the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        return self._path.read_text().strip()


def security_of(settings: ServiceSettings) -> BaseSecurity | None:
    """What the settings say of TLS and SASL; None for neither. Raises InsecureKafka, and WrongSetting for files of no use."""
    if not settings.kafka_tls and not settings.kafka_mechanism:
        return None
    if settings.kafka_mechanism and not (settings.kafka_tls or settings.development):
        raise InsecureKafka(InsecureKafka.__doc__)
    context = _context(settings) if settings.kafka_tls else None
    given: dict[str, Any] = {"ssl_context": context, "use_ssl": settings.kafka_tls}
    if not settings.kafka_mechanism:
        return BaseSecurity(**given)
    if settings.kafka_mechanism == "OAUTHBEARER":
        return SASLOAuthBearer(**given)
    password = settings.kafka_password.get_secret_value() if settings.kafka_password else ""
    signs_in: BaseSecurity = BY_PASSWORD[settings.kafka_mechanism](settings.kafka_user, password, **given)
    return signs_in


def token_provider_of(settings: ServiceSettings) -> TokenFile | None:
    """Where the bearer token comes from, for OAUTHBEARER."""
    if settings.kafka_mechanism != "OAUTHBEARER":
        return None
    if settings.kafka_token is None:
        raise WrongSetting("OAUTHBEARER needs the file that holds the token: set ENTENTE_KAFKA_TOKEN")
    return TokenFile(settings.kafka_token)


def _context(settings: ServiceSettings) -> ssl.SSLContext:
    with _readable("ENTENTE_KAFKA_CA"):
        context = ssl.create_default_context(cafile=settings.kafka_ca)
    if settings.kafka_certificate:
        with _readable("ENTENTE_KAFKA_CERTIFICATE or ENTENTE_KAFKA_KEY"):
            context.load_cert_chain(settings.kafka_certificate, settings.kafka_key)
    return context


@contextmanager
def _readable(names: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise WrongSetting(f"the file of {names} cannot be read: it takes one that holds PEM") from None
