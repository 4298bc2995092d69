"""The command line that every service has: serve, migrate, reconcile, rebuild, verify, parked."""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import uuid_utils
from typer.core import TyperGroup

from chassis import keys_copy, lean, logs, proof  # noqa: F401  lean: before what imports frameworks
from chassis.access import OPERATOR
from chassis.afresh import RECORDED, Mode
from chassis.backup import NotEmpty
from chassis.decider import Problem, stream_name
from chassis.epoch import LogBehind
from chassis.event import SHARED, Actor
from chassis.execution import Order
from chassis.identity import SigningKeys
from chassis.keys import MASTER_FILE, FileKeyWrapper, MasterKeyMissing
from chassis.keys_copy import NoKeys
from chassis.master_key import KmsAway, KmsRefused, MasterKey
from chassis.note import NoteSigner
from chassis.parking import Place
from chassis.presence import InUse, at_work
from chassis.process import NoFolder, PortTaken, make_folder, make_world, must_be_free, opened, run, running, serve
from chassis.projecting import CannotRebuild
from chassis.reconcile import make_whole
from chassis.service import Service, World, directory_of, event_store, kept_keys
from chassis.settings import ServiceSettings, WrongSetting
from chassis.shadow import TooDifferent
from chassis.shadow_api import BEGINNING, ShadowBody, asked_for
from chassis.store.port import EventStore, NotMigrated
from chassis.transport.port import topic_of
from chassis.verify import Report, Span, verify, verify_decisions
from chassis.verify_stream import verify_stream
from chassis.witness_key import SealedSigning, WitnessKeyClosed

Build = Callable[[Any, World], Service]
Given = Callable[..., ServiceSettings]
PLAINLY = (
    CannotRebuild,
    FileNotFoundError,
    InUse,
    KmsAway,
    KmsRefused,
    LogBehind,
    MasterKeyMissing,
    NoFolder,
    NoKeys,
    NotEmpty,
    NotMigrated,
    PortTaken,
    Problem,
    WitnessKeyClosed,
)
"""What ends a command with one sentence: the person at the keyboard can do something about it."""
REFUSED, WRONG_USAGE = 1, 2
AWAY = {
    "aiokafka.errors.KafkaConnectionError": "ENTENTE_KAFKA",
    "chassis.key_store.postgres.NotReached": "ENTENTE_KEY_STORE",
    "eventsourcing.persistence.OperationalError": "ENTENTE_POSTGRES",
    "psycopg_pool.PoolTimeout": "ENTENTE_READ_STORE",
    "pymongo.errors.ServerSelectionTimeoutError": "ENTENTE_READ_STORE",
}
"""Which setting names the engine whose own client says so: the clients are imported only where they are used."""
DATA = Annotated[Path, typer.Option(help="Where the service keeps its files.", envvar="ENTENTE_DATA")]
BY = Annotated[str, typer.Option(help="Who orders it; recorded with the order.")]


class PlainCommands(TyperGroup):
    """Ends a command with the sentence of its refusal, without a traceback: exit status 1, and 2 for a wrong setting."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except WrongSetting as no:
            raise _ended(str(no), WRONG_USAGE) from None
        except PLAINLY as no:
            raise _ended(f"{no.slug}: {no.detail}" if isinstance(no, Problem) else str(no), REFUSED) from None
        except Exception as no:
            if isinstance(no.__cause__, sqlite3.OperationalError):
                raise _ended(f"a file of the data cannot be used now: {no}", REFUSED) from no
            names = AWAY.get(f"{type(no).__module__}.{type(no).__name__}")
            if names is None:
                raise
            raise _ended(
                f"{names} names what cannot be reached: see that it is right, and that it runs", REFUSED
            ) from no


def _ended(told: str, status: int) -> typer.Exit:
    typer.echo(told)
    return typer.Exit(status)


def command_line(name: str, settings_type: type[ServiceSettings], build: Build) -> typer.Typer:
    """The commands of one service."""
    cli = typer.Typer(
        cls=PlainCommands, name=name, no_args_is_help=True, add_completion=False, help=f"The {name} service."
    )

    def settings(data: Path, **more: Any) -> ServiceSettings:
        return settings_type.read(data=data, **more)

    _add_life(cli, settings, build)
    _add_checks(cli, settings, build)
    _add_shadow_run(cli, settings, build)
    cli.add_typer(_parked(settings, build), name="parked")
    cli.add_typer(_keys(name, settings, build), name="keys")
    return cli


def _keys(name: str, settings: Given, build: Build) -> typer.Typer:
    keys = typer.Typer(
        no_args_is_help=True, help="The keys of personal text and what wraps them: made, copied, renewed."
    )
    _add_key_copies(keys, name, settings)

    @keys.command()
    def make(to: Annotated[Path, typer.Option(help="An empty folder.")]) -> None:
        """Makes the keys that all services share: one that signs principals, one that wraps the keys of personal text."""
        signing, master = to / "signing.json", to / "master.key"
        for path in (signing, master):
            if path.exists():
                raise typer.BadParameter(f"{path} is there already, and is not made anew")
        SigningKeys(signing)
        FileKeyWrapper(master, made=True)
        said = f"{signing} and {master} are made: keep copies where the backups are not"
        typer.echo(said)

    @keys.command()
    def rewrap(data: DATA = Path("./data")) -> None:
        """Has the master key wrapped by the newest version of the KMS's key. The service may run meanwhile."""
        run(_rewrap(settings(data), build))

    @keys.command()
    def renew(data: DATA = Path("./data")) -> None:
        """Makes another master key and wraps every key of the service by it. Stop the service first."""
        run(_renew(settings(data), build))

    @keys.command("witness-anew")
    def witness_anew(data: DATA = Path("./data")) -> None:
        """Makes the witness another key where the one that is kept was lost with the keys. Stop the service first."""
        run(_witness_anew(settings(data), build))

    return keys


def _add_key_copies(keys: typer.Typer, name: str, settings: Given) -> None:
    @keys.command("backup")
    def backup_command(
        to: Annotated[Path, typer.Argument(help="A folder, kept where the backups of logs are not.")],
        data: DATA = Path("./data"),
        keep: Annotated[int, typer.Option(min=1, help="So many newest copies of this service stay there.")] = 7,
    ) -> None:
        """Copies the keys of personal text, wrapped, without what unwraps them. The service may run meanwhile."""
        given = settings(data)
        if to.resolve().is_relative_to(given.data.resolve()):
            raise typer.BadParameter(f"{to} lies in the data folder, whose backups are kept longer: keep keys apart")
        make_folder(to, "the folder of copies")
        with kept_keys(given, name) as kept:
            path, held = keys_copy.take(kept, name, to, datetime.now(UTC), keep=keep)
        without = "its KMS alone opens it" if held.by_kms else "the master key is not in it, and is kept elsewhere"
        typer.echo(f"{path} holds {held.keys} keys: {without}")

    @keys.command("restore")
    def restore_command(
        source: Annotated[Path, typer.Argument(metavar="FROM", help="A copy that `keys backup` made.")],
        data: DATA = Path("./data"),
    ) -> None:
        """Brings the keys of a copy back where there are none. Stop the service first; its next start forgets again."""
        given = settings(data)
        make_folder(given.data, "the data folder")
        directory = directory_of(given, name)
        master_key = None if given.kms else given.master_key or directory / MASTER_FILE
        with kept_keys(given, name) as kept:
            held = keys_copy.bring_back(source, kept, name, master_key)
        said = f"{name}: {held.keys} keys are back; its next start forgets again whom the log tells of since"
        typer.echo(said)


async def _rewrap(settings: ServiceSettings, build: Build) -> None:
    with _locker(settings, build) as service:
        await _by_kms(service).rewrap()
        typer.echo(f"{service.name}: the newest key of the KMS wraps the master key")


async def _renew(settings: ServiceSettings, build: Build) -> None:
    with _locker(settings, build) as service, at_work(service.directory, alone=True):
        renewed = await _by_kms(service).renew()
        typer.echo(f"{service.name}: another master key wraps {renewed} keys")


async def _witness_anew(settings: ServiceSettings, build: Build) -> None:
    with _locker(settings, build) as service:
        if service.desk.seeds is None:
            raise typer.BadParameter(f"the witness of {service.name} has its key in a file: restore it with its folder")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(service.desk.at_work(alone=True))
            for each in (service.store, service.desk):
                await each.open()
                stack.push_async_callback(each.close)
            made = await _another_key(service)
    told = (
        f"tell who holds checkpoints that its key is {made.verifier.vkey} from now on" if made else "its key is there"
    )
    typer.echo(f"{service.name}: {told}")


async def _another_key(service: Service) -> NoteSigner | None:
    if service.application.master_key:
        await service.application.master_key.unlock()
    signing = service.signing(service.desk.leaves(service.store.epoch).origin)
    assert isinstance(signing, SealedSigning), "a desk that keeps keys has them sealed"
    return await signing.anew()


@contextmanager
def _locker(settings: ServiceSettings, build: Build) -> Iterator[Service]:
    """A service of which only the keys are wanted."""
    service = build(settings, make_world(settings))
    try:
        service.application.keys.prepare()
        yield service
    finally:
        service.application.keys.close()


def _by_kms(service: Service) -> MasterKey:
    if service.application.master_key is None:
        raise MasterKeyMissing("no KMS keeps a master key here: set ENTENTE_KMS")
    return service.application.master_key


def _add_life(cli: typer.Typer, settings: Given, build: Build) -> None:
    @cli.command("serve")
    def serve_command(
        data: DATA = Path("./data"),
        host: Annotated[str | None, typer.Option(help="Default: ENTENTE_HOST, else 127.0.0.1")] = None,
        port: Annotated[int | None, typer.Option(help="Default: ENTENTE_PORT, else 8080")] = None,
        roles: Annotated[str | None, typer.Option(help="api, work, or both; default: ENTENTE_ROLES, else both")] = None,
    ) -> None:
        """Serves this service alone until it is told to stop."""
        given = {"host": host, "port": port, "roles": roles and tuple(roles.split(","))}
        run(_serve(settings(data, **{name: value for name, value in given.items() if value is not None}), build))

    @cli.command()
    def migrate(
        data: DATA = Path("./data"),
        *,
        sql: Annotated[bool, typer.Option("--sql", help="Print SQL for PostgreSQL instead; asks no database.")] = False,
        keys: Annotated[bool, typer.Option("--keys", help="With --sql: for the database of the keys.")] = False,
    ) -> None:
        """Makes the tables and, on Kafka, the topic; again is harmless."""
        run(_migrate(settings(data), build) if not sql else _print_sql(settings(data), build, keys=keys))

    @cli.command("reconcile")
    def reconcile_command(
        by: BY,
        data: DATA = Path("./data"),
        *,
        restored: Annotated[
            bool, typer.Option("--restored", help="Its log was brought back from a backup: whoever has read how far.")
        ] = False,
    ) -> None:
        """Makes this service whole after a restore of its log or of one that it hears. Stop all services first."""
        logs.configure(level="WARNING")
        run(_reconcile(settings(data), build, by, restored=restored))

    @cli.command("rebuild")
    def rebuild_command(model: str, data: DATA = Path("./data")) -> None:
        """Fills one read model anew from the log and swaps it in. Stop the service first."""
        run(_rebuild(settings(data), build, model))


def _add_checks(cli: typer.Typer, settings: Given, build: Build) -> None:
    @cli.command("verify")
    def verify_command(
        kind: Annotated[str | None, typer.Argument(help="One stream alone: its kind, e.g. deal.")] = None,
        identity: Annotated[str | None, typer.Argument(metavar="[ID]", help="And its id.")] = None,
        data: DATA = Path("./data"),
        *,
        decide: Annotated[bool, typer.Option("--decide", help="Decide every recorded command again.")] = False,
        tenant: Annotated[str, typer.Option(help="Whose stream it is.")] = "acme",
    ) -> None:
        """Recomputes log, leaves and checkpoints, and names the first position that differs. Exit 1 if one does.

        Of one stream (`verify deal ID`): all that its decisions rest on, and the decisions, made again.
        """
        if kind is None or identity is None:
            run(_verify(settings(data), build, decide=decide))
        else:
            run(_verify_stream(settings(data), build, stream_name(tenant, kind, identity)))

    @cli.command("verify-proof")
    def verify_proof(
        file: Path, key: Annotated[str | None, typer.Option(help="The key that you hold.")] = None
    ) -> None:
        """Checks a downloaded proof offline. Exit 1 names what does not hold."""
        status, lines = proof.verify_proof([str(file), *(["--key", key] if key else [])])
        typer.echo("\n".join(lines))
        raise typer.Exit(status)


def _add_shadow_run(cli: typer.Typer, settings: Given, build: Build) -> None:
    @cli.command("shadow-run")
    def shadow_run(  # noqa: PLR0913  what is run, over what
        rulebook: str,
        tenant: str,
        *,
        version: Annotated[int | None, typer.Option(help="A published version, or the draft.")] = None,
        body: Annotated[Path | None, typer.Option(help="Rules in a JSON file that nobody has drafted.")] = None,
        from_at: datetime = BEGINNING,
        until_at: Annotated[datetime | None, typer.Option(help="Default: now.")] = None,
        mode: Annotated[Mode, typer.Option(help="full: what was looked up then is looked up again.")] = RECORDED,
        data: DATA = Path("./data"),
    ) -> None:
        """Decides what was recorded again under other rules, writes nothing, and prints the report as JSON."""
        wish = ShadowBody(
            rulebook_id=rulebook,
            version=version,
            body=json.loads(body.read_text()) if body else None,
            from_at=_utc(from_at),
            until_at=_utc(until_at) if until_at else None,
            mode=mode,
        )
        run(_shadow_run(settings(data), build, tenant, wish))


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


async def _shadow_run(settings: ServiceSettings, build: Build, tenant: str, wish: ShadowBody) -> None:
    from rich.console import Console  # imported only where it is used: 6 MiB
    from rich.progress import Progress

    async with open_service(settings, build) as service:
        asked = await asked_for(service.application, tenant, wish, "cli")
        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("deciding again", total=None)
            try:
                report = await service.shadow_runs.report(
                    asked, lambda done, total: bar.update(task, completed=done, total=total)
                )
            except TooDifferent as told:
                raise typer.BadParameter(str(told)) from told
        typer.echo(json.dumps({"mode": asked.mode, **asked.asked, **report.as_json()}, indent=2))


async def _serve(settings: ServiceSettings, build: Build) -> None:
    logs.configure(level=settings.log_level)
    must_be_free(settings.host, settings.port)
    world = make_world(settings)
    service = build(settings, world)
    await serve([service], world, service.api, settings)


async def _print_sql(settings: ServiceSettings, build: Build, *, keys: bool) -> None:
    """One transaction that a database administrator can read and run."""
    service = build(settings, make_world(settings))
    beside: tuple[Any, ...] = (service.store, service.desk, service.application.read)
    stores = (service.application.keys.store,) if keys else beside
    told = [statement for store in stores if hasattr(store, "statements") for statement in store.statements()]
    if not told:
        names = "ENTENTE_KEY_STORE" if keys else "ENTENTE_POSTGRES"
        raise typer.BadParameter(f"all is in files: {names} names no database")
    typer.echo("\n".join(["BEGIN;", *(f"{statement.rstrip(';')};" for statement in told), "COMMIT;"]))


async def _migrate(settings: ServiceSettings, build: Build) -> None:
    world = make_world(settings)
    service = build(settings, world)
    await service.migrate()
    await world.transport.migrate([topic_of(service.name)])
    typer.echo(f"{service.name}: tables and topic are there")


@asynccontextmanager
async def open_service(settings: ServiceSettings, build: Build) -> AsyncIterator[Any]:
    """A service with its store open, doing nothing of itself."""
    service = build(settings, make_world(settings))
    await service.migrate()
    await service.open()
    try:
        yield service
    finally:
        await service.close()


async def _rebuild(settings: ServiceSettings, build: Build, model: str) -> None:
    world = make_world(settings)
    service = build(settings, world)
    async with running([service], world, alone=True):
        await rebuild(service, model)


async def rebuild(service: Service, model: str) -> None:
    """Fills one read model of a service at work anew, and says which version is live then."""
    typer.echo(f"{await service.runner.rebuild(model)} is live")


async def _reconcile(settings: ServiceSettings, build: Build, by: str, *, restored: bool) -> None:
    world = make_world(settings)
    service = build(settings, world)
    async with opened([service], world, alone=True), _logs_of(settings, service.hears - {service.name}) as others:
        made = await make_whole(service, others, order_of(by), by, restored=restored)
    for line in made.lines():
        typer.echo(line)


@asynccontextmanager
async def _logs_of(settings: ServiceSettings, names: Iterable[str]) -> AsyncIterator[dict[str, EventStore]]:
    """The logs of other services, to be read, from where these settings keep them."""
    async with AsyncExitStack() as stack:
        found = {name: event_store(settings, name) for name in names}
        for log in found.values():
            await log.open()
            stack.push_async_callback(log.close)
        yield found


async def _verify(settings: ServiceSettings, build: Build, *, decide: bool) -> None:
    async with open_service(settings, build) as service:
        leaves, key = service.witness.leaves, (await service.witness.signer()).verifier
        reports = [await verify(service.store, leaves, await leaves.checkpoints(), key)]
        if decide:
            reports.append(await verify_decisions(service.store, service.application.executor.every_handles))
    _told(reports)


async def decide_again(settings: ServiceSettings, build: Build, span: Span) -> None:
    """Decides again what was recorded in a span, and says what differs. Exit 1 if anything does."""
    async with open_service(settings, build) as service:
        report = await verify_decisions(service.store, service.application.executor.every_handles, span)
    _told([report])


async def _verify_stream(settings: ServiceSettings, build: Build, name: str) -> None:
    async with open_service(settings, build) as service:
        witness, handles = service.witness, service.application.executor.every_handles
        await witness.checkpoint()
        key = (await witness.signer()).verifier
        report = await verify_stream(service.store, witness.leaves, key, handles, name)
    _told([report])


def _told(reports: list[Report]) -> None:
    for report in reports:
        for line in report.lines():
            typer.echo(line)
    if not all(report.holds for report in reports):
        raise typer.Exit(1)


def _parked(settings: Given, build: Build) -> typer.Typer:
    parked = typer.Typer(no_args_is_help=True, help="Messages that were given up on: look, replay, discard.")

    @parked.command("list")
    def listed(data: DATA = Path("./data")) -> None:
        """The parked messages, a subject's in order, with reason and place."""
        run(_list_parked(settings(data), build))

    @parked.command()
    def replay(by: BY, data: DATA = Path("./data"), group: str | None = None, subject: str | None = None) -> None:
        """Releases parked messages, of a group, of a subject, or all; the running service carries them out in order."""
        run(_replay_parked(settings(data), build, by, group, subject))

    @parked.command()
    def discard(group: str, topic: str, partition: int, offset: int, by: BY, data: DATA = Path("./data")) -> None:
        """Proposes to drop one message; a second person's call with the same place drops it."""
        place = Place(group=group, topic=topic, partition=partition, offset=offset)
        run(_discard_parked(settings(data), build, by, place))

    return parked


async def _list_parked(settings: ServiceSettings, build: Build) -> None:
    async with open_service(settings, build) as service:
        for row in await service.parking.listed():
            at = row.place
            place = f"{at.group} {at.topic} {at.partition} {at.offset}"
            typer.echo(f"{row.state} {place} {row.subject}: {row.reason}")


async def _replay_parked(
    settings: ServiceSettings, build: Build, by: str, group: str | None, subject: str | None
) -> None:
    async with open_service(settings, build) as service:
        outcome = await service.application.parked.replay(order_of(by), by=by, group=group, subject=subject)
        typer.echo(f"{outcome.answer['released']} released")


async def _discard_parked(settings: ServiceSettings, build: Build, by: str, place: Place) -> None:
    async with open_service(settings, build) as service:
        outcome = await service.application.parked.discard(order_of(by), place, by=by)
        typer.echo(outcome.answer["state"])


def order_of(by: str) -> Order:
    """What a person at this machine orders; each call is an order of its own."""
    command_id = str(uuid_utils.uuid7())
    actor = Actor(kind=OPERATOR, subject=by)
    return Order(command_id=command_id, tenant=SHARED, actor=actor, correlation_id=command_id)
