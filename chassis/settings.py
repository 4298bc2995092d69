"""The settings that every service has. A service's own `Settings` adds to them; nothing else reads the environment."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, FilePath, IPvAnyNetwork, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

DEVELOPMENT = "development"
PREFIX = "ENTENTE_"
HTTP_URL = "a URL that begins with http:// or https://"
BROKER = r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?"
BOUNDS = (("minimum", "of at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"))
TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a JSON list of texts",
    "object": "a JSON object",
}


class WrongSetting(Exception):
    """What a setting holds cannot be used; the message names the variable and what it takes, never what it holds."""


def variable(field: str) -> str:
    """The environment variable of a field."""
    return f"{PREFIX}{field.upper()}"


def _read_by_libpq(dsn: str) -> str:
    if dsn:
        from psycopg import ProgrammingError  # imported only where it is used: 120 ms
        from psycopg.conninfo import conninfo_to_dict

        try:
            conninfo_to_dict(dsn)
        except ProgrammingError:  # its words may hold the password
            raise ValueError("libpq cannot read it") from None
    return dsn


def _not_everybody(network: IPvAnyNetwork) -> IPvAnyNetwork:
    if not network.prefixlen:
        raise ValueError("it names everybody")
    return network


def _nothing_if_empty(path: Any) -> Any:
    return path or None


def _as_logging_has_it(level: Any) -> Any:
    level = level.upper() if isinstance(level, str) else level
    return "WARNING" if level == "WARN" else level


GivenFile = Annotated[FilePath | None, BeforeValidator(_nothing_if_empty)]
"""A file that has to be there when the settings are read."""
LaterFile = Annotated[Path | None, BeforeValidator(_nothing_if_empty)]
"""A file that is read when it is needed."""


class _Environment(EnvSettingsSource):
    """The environment, that tells which variable holds no JSON."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            raise WrongSetting(
                f"{variable(field_name)} holds no JSON: it takes {takes(self.settings_cls, field_name)}"
            ) from None


class ServiceSettings(BaseSettings):
    """Read once, in `__main__`, from `ENTENTE_…`; a file `.env` is not read."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    environment: str = DEVELOPMENT
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    data: Path = Path("./data")
    kafka: str | None = Field(
        default=None,
        pattern=f"^({BROKER}(, *{BROKER})*)?$",
        description="the brokers to begin with, as in kafka-1:9092,kafka-2:9092",
    )
    """Bootstrap servers; without them services meet in one process."""
    kafka_tls: bool = False
    kafka_ca: GivenFile = None
    """PEM of who signed the brokers' certificates; without it the machine's own list counts."""
    kafka_certificate: GivenFile = None
    kafka_key: GivenFile = None
    """PEM of this client's own certificate and key, where brokers ask for one."""
    kafka_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = ""
    kafka_user: str = ""
    kafka_password: SecretStr | None = None
    kafka_token: LaterFile = None
    """The file with the bearer token, for OAUTHBEARER; it is read at each sign-in."""
    postgres: Annotated[str, AfterValidator(_read_by_libpq)] | None = Field(
        default=None, description="the address of a database, as in postgresql://user:password@host:5432/name"
    )
    """DSN of the event stores; without it they are SQLite files under `data`."""
    read_store: str | None = Field(
        default=None,
        pattern="^(postgresql|mongodb(\\+srv)?)://",
        description="a URL that begins with postgresql://, mongodb:// or mongodb+srv://",
    )
    """URL of the documents' database, PostgreSQL or MongoDB; without it they are SQLite files under `data`."""
    key_store: Annotated[str, AfterValidator(_read_by_libpq)] | None = Field(
        default=None,
        description="the address of a database without a log, as in postgresql://user:password@host:5432/keys",
    )
    """URL of the keys' own database, PostgreSQL; without it they are a SQLite file under `data`. A file `master_key` that all
    processes have, or `kms`, has to wrap them then."""
    trusted_proxies: tuple[Annotated[IPvAnyNetwork, AfterValidator(_not_everybody)], ...] = Field(
        default=(), description='a JSON list of addresses and networks, as in ["10.244.0.0/16", "192.0.2.7"]'
    )
    """Whose `X-Forwarded-For` and `-Proto` are believed; the caller is the last address there that is none of these."""
    roles: tuple[Literal["api", "work"], ...] = Field(
        default=("api", "work"), description='["api"], ["work"] or ["api", "work"]'
    )
    checkpoint_seconds: float = Field(default=60.0, gt=0)
    stop_seconds: float = Field(default=8.0, gt=0)
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_as_logging_has_it)
    ] = "INFO"
    signing_keys: LaterFile = None
    """The file of the keys that sign principals, where a secret store brings it; else `signing.json` of the data folder."""
    master_key: LaterFile = None
    """The file of the key that wraps all keys of personal text; else a service makes `master.key` in its own folder.

    With `kms` it is taken over from there, once."""
    kms: str | None = Field(default=None, pattern="^https?://", description=HTTP_URL)
    """URL of a transit engine of Vault or OpenBao, whose key `entente-<service>` wraps a service's master key."""
    kms_token: LaterFile = None
    """The file with the token for it, read at each call; without it an agent beside the service brings its own."""
    kms_ca: GivenFile = None
    """PEM of who signed its certificate; without it the machine's own list counts."""
    kms_check_seconds: float = Field(default=60.0, gt=0)
    """How often it is asked whether it still agrees."""
    upstreams: dict[str, str] = Field(
        default={}, description='a JSON object of addresses by service, as in {"onboarding": "http://onboarding:8080"}'
    )
    """Where services of other processes answer, by name: read models read their feeds there; those of this one need none."""
    internal_port: int | None = Field(default=None, ge=0, le=65_535)
    """Where probes and figures are served apart from everything else."""
    traces: str | None = Field(default=None, pattern="^(https?://|$)", description=HTTP_URL)
    """Where an OpenTelemetry collector takes spans by OTLP over HTTP; without it none are made."""
    trace_percent: float = Field(default=10.0, ge=0, le=100)
    body_bytes_max: int = Field(default=1 << 20, ge=1 << 10)
    """The largest body of a request; a larger one is refused before anything reads it."""
    queue_max: int = Field(default=256, ge=1)
    """Commands that may wait for their turn on one stream; what comes then is told to come again."""
    commits_waiting_max: int = Field(default=4_096, ge=1)
    """Commits that may wait for their flush in one service."""
    shadow_processes: int = Field(default=2, ge=1, le=8)
    """Processes that a long shadow run begins for itself, at most one a core; 1: it goes on beside all else."""
    shadow_streams_max: int = Field(default=300_000, ge=1_000)
    """Streams that may come out differently in a shadow run, which holds them in memory; one with more is given up."""
    wait_seconds: float = Field(default=1.0, gt=0)
    """How long a read waits for `Entente-At-Least`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the library's form
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Environment(settings_cls)

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings: what is given, else what the environment holds. Raises WrongSetting."""
        try:
            return cls(**given)
        except ValidationError as no:
            wrong = [_told(cls, fault["loc"], _problem(fault), given) for fault in no.errors(include_input=False)]
            raise WrongSetting("\n".join(dict.fromkeys(wrong))) from None

    @property
    def development(self) -> bool:
        return self.environment == DEVELOPMENT

    @property
    def open_figures(self) -> bool:
        """Whether `/metrics` stands beside everything else: in development, unless it has a port of its own."""
        return self.development and self.internal_port is None


def _problem(fault: ErrorDetails) -> str:
    if fault["type"] == "string_pattern_mismatch":
        return "it has another form"
    return fault["msg"].removeprefix("Value error, ").replace("Input", "it", 1)


def _told(cls: type[ServiceSettings], where: tuple[int | str, ...], problem: str, given: dict[str, Any]) -> str:
    if not where:
        return problem
    field = str(where[0])
    name = f"--{field.replace('_', '-')}" if field in given else variable(field)
    return f"{name} cannot be used ({problem}): it takes {takes(cls, field)}"


def takes(cls: type[BaseSettings], field: str) -> str:
    """What a setting may hold, in words, from the form of its field."""
    schema = cls.model_json_schema()
    form = schema["properties"][field]
    kind = next((one for one in form.get("anyOf", ()) if one.get("type") != "null"), form)
    if told := form.get("description"):
        return str(told)
    if choices := kind.get("enum"):
        return f"one of {', '.join(choice or 'nothing' for choice in choices)}"
    if kind.get("format") == "file-path":
        return "the path of a file that is there"
    bounds = (f"{word} {kind[bound]:g}" for bound, word in BOUNDS if bound in kind)
    return " ".join([TYPES.get(kind.get("type", ""), "a text"), " and ".join(bounds)]).strip()
