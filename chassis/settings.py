"""The settings that every service has. A service's own `Settings` adds to them; nothing else reads the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

DEVELOPMENT = "development"


class ServiceSettings(BaseSettings):
    """Read once, in `__main__`, from `ENTENTE_…`; a file `.env` is not read."""

    model_config = SettingsConfigDict(env_prefix="ENTENTE_", frozen=True, extra="ignore")

    environment: str = DEVELOPMENT
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    data: Path = Path("./data")
    kafka: str | None = None
    """Bootstrap servers; without them services meet in one process."""
    kafka_tls: bool = False
    kafka_ca: Path | None = None
    """PEM of who signed the brokers' certificates; without it the machine's own list counts."""
    kafka_certificate: Path | None = None
    kafka_key: Path | None = None
    """PEM of this client's own certificate and key, where brokers ask for one."""
    kafka_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = ""
    kafka_user: str = ""
    kafka_password: SecretStr | None = None
    kafka_token: Path | None = None
    """The file with the bearer token, for OAUTHBEARER; it is read at each sign-in."""
    postgres: str | None = None
    """DSN of the event stores; without it they are SQLite files under `data`."""
    read_store: str | None = Field(default=None, pattern="^(postgresql|mongodb(\\+srv)?)://")
    """URL of the documents' database, PostgreSQL or MongoDB; without it they are SQLite files under `data`."""
    roles: tuple[str, ...] = ("api", "work")
    checkpoint_seconds: float = Field(default=60.0, gt=0)
    stop_seconds: float = Field(default=8.0, gt=0)
    log_level: str = "INFO"
    signing_keys: Path | None = None
    """The file of the keys that sign principals, where a secret store brings it; else `signing.json` of the data folder."""
    master_key: Path | None = None
    """The file of the key that wraps all keys of personal text; else a service makes `master.key` in its own folder.

    With `kms` it is taken over from there, once."""
    kms: str | None = Field(default=None, pattern="^https?://")
    """URL of a transit engine of Vault or OpenBao, whose key `entente-<service>` wraps a service's master key."""
    kms_token: Path | None = None
    """The file with the token for it, read at each call; without it an agent beside the service brings its own."""
    kms_ca: Path | None = None
    """PEM of who signed its certificate; without it the machine's own list counts."""
    kms_check_seconds: float = Field(default=60.0, gt=0)
    """How often it is asked whether it still agrees."""
    internal_port: int | None = Field(default=None, ge=0, le=65_535)
    """Where probes and figures are served apart from everything else."""
    traces: str | None = None
    """Where an OpenTelemetry collector takes spans by OTLP over HTTP; without it none are made."""
    trace_percent: float = Field(default=10.0, ge=0, le=100)
    body_bytes_max: int = Field(default=1 << 20, ge=1 << 10)
    """The largest body of a request; a larger one is refused before anything reads it."""
    queue_max: int = Field(default=256, ge=1)
    """Commands that may wait for their turn on one stream; what comes then is told to come again."""
    commits_waiting_max: int = Field(default=4_096, ge=1)
    """Commits that may wait for their flush in one service."""
    wait_seconds: float = Field(default=1.0, gt=0)
    """How long a read waits for `Entente-At-Least`."""

    @property
    def development(self) -> bool:
        return self.environment == DEVELOPMENT

    @property
    def open_figures(self) -> bool:
        """Whether `/metrics` stands beside everything else: in development, unless it has a port of its own."""
        return self.development and self.internal_port is None
