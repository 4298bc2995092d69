"""The whole system in one process on SQLite: `python -m services`, what `make run` starts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console

from chassis import backup, logs, reconcile
from chassis.asgi import Api
from chassis.cli import PlainCommands, order_of, rebuild
from chassis.epoch import EpochBegun
from chassis.presence import at_work, keep_off
from chassis.process import listening, make_world, must_be_free, run, running, stop_signal
from chassis.process import opened as opened_alone
from chassis.service import Service, World
from chassis.settings import ServiceSettings
from chassis.transport.in_process import InProcessTransport
from contracts.catalogue import SERVICES
from services import first_run
from services.attribution import app as attribution
from services.attribution.adapters.hubspot_simulator import Hub, simulator
from services.attribution.adapters.loopback import on_kept_port
from services.demo import quarter
from services.demo.story import Size
from services.distributed import ServiceEnded, distributed, opened, opened_at
from services.gateway import app as gateway
from services.gateway.adapters.upstreams import OverHttp
from services.incentives import app as incentives
from services.onboarding import app as onboarding
from services.registration import app as registration

PORT: int = ServiceSettings.model_fields["port"].default
CRM_PORT_STEP = 1
console = Console()
log = structlog.get_logger()
cli = typer.Typer(cls=PlainCommands, add_completion=False, help="Entente: all five services in one process.")


def build_all(settings: ServiceSettings, world: World, crm_url: str = "") -> dict[str, Service]:
    """The five services on one world; the gateway is last, it stands before the others."""
    apps: tuple[Any, ...] = (onboarding, registration, attribution, incentives, gateway)
    made = [app.build(own, world) for app, own in zip(apps, _each(settings, crm_url), strict=True)]
    return {service.name: service for service in made}


def _each(settings: ServiceSettings, crm_url: str = "") -> tuple[ServiceSettings, ...]:
    """The five services' settings, in the order in which they are built. Raises WrongSetting."""
    given: dict[str, Any] = {name: getattr(settings, name) for name in ServiceSettings.model_fields}
    public_url = f"http://{settings.host}:{settings.port}"
    return (
        onboarding.Settings.read(**given),
        registration.Settings.read(**given),
        attribution.Settings.read(**given, public_url=public_url, crm_simulator_url=crm_url),
        incentives.Settings.read(**given),
        gateway.Settings.read(**given, crm_simulator_url=crm_url),
    )


def _settings(port: int, data: Path) -> ServiceSettings:
    """What all five share. Raises WrongSetting, also for what only one of them reads."""
    settings = ServiceSettings.read(port=port, data=data)
    _each(settings)
    return settings


@asynccontextmanager
async def system(
    settings: ServiceSettings, world: World | None = None, *, alone: bool = False
) -> AsyncIterator[tuple[dict[str, Service], Hub, str]]:
    """The five services at work and the simulated CRM beside them: services by name, the CRM, its address.

    Raises InUse while another process serves the same files, with `alone` also while one works on them; PortTaken.
    """
    if alone:
        keep_off(settings.data / name for name in SERVICES)
    world = world or make_world(settings)
    crm = settings.data / "crm_simulator"
    crm.mkdir(exist_ok=True)
    hub = Hub(now=world.clock.now, path=crm / "deals.db")
    # At first the next port after the gateway's.
    first_port = settings.port + CRM_PORT_STEP if settings.port else 0
    # One CRM, and so one of these systems on a folder at a time.
    with at_work(crm, alone=True):
        async with on_kept_port(simulator(hub), crm / "port", first_port) as crm_url:
            services = build_all(settings, world, crm_url)
            async with running(services.values(), world, alone=alone):
                yield services, hub, crm_url


async def _serve(settings: ServiceSettings) -> None:
    must_be_free(settings.host, settings.port)
    world = make_world(settings)
    async with system(settings, world) as (services, hub, crm_url):
        front = services["gateway"].api
        connection_id = await first_run.ensure(first_run.Patient(front), crm_url)
        async with listening(front, settings, world) as (address, stopped):
            hub.subscribe(f"{address}/v1/attribution/connections/{connection_id}/push")
            _welcome(address, crm_url, settings.data)
            await stopped.wait()


def _welcome(address: str, crm_url: str, data: Path) -> None:
    lines = (
        f"[bold]Entente[/bold] is running: {address}   (data in {data}, stop with Ctrl+C)",
        f"  Sign in        {address}/dev/sign-in",
        *first_run.people_lines(),
        f"  Simulated CRM  {crm_url}   win, lose and refund deals here",
        f"  API            {address}/v1/openapi.json   a token: POST {address}/dev/token",
    )
    console.print("\n" + "\n".join(lines), highlight=False, soft_wrap=True)


@cli.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Where the gateway listens on loopback.", envvar="ENTENTE_PORT")
    ] = PORT,
    data: Annotated[Path, typer.Option(help="Where everything is kept.", envvar="ENTENTE_DATA")] = Path("./data"),
) -> None:
    """Serves portal and API; the first run opens the tenant `acme`."""
    if context.invoked_subcommand is None:
        settings = _settings(port=port, data=data)
        logs.configure(level=settings.log_level)
        run(_serve(settings))


@cli.command("distributed")
def distributed_command(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where the gateway listens on loopback.")] = PORT,
    data: Annotated[Path, typer.Option(help="Where keys, positions and logs are kept.")] = Path("./data"),
) -> None:
    """Serves the five services as processes of their own, on the engines that `ENTENTE_…` names."""
    settings = _settings(port=port, data=data)
    if not settings.kafka:
        raise typer.BadParameter(
            "ENTENTE_KAFKA names no brokers: processes meet over Kafka (see `make run-distributed`)"
        )
    logs.configure(level=settings.log_level)
    try:
        run(_serve_distributed(settings))
    except ServiceEnded as ended:
        console.print(str(ended), highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


async def _serve_distributed(settings: ServiceSettings) -> None:
    stopped = stop_signal()
    async with distributed(settings) as it:
        await opened(it)
        _welcome(it.address, it.crm_url, settings.data)
        for member in it.members.values():
            _say(f"  {member.name:<14} {member.url}   pid {member.process.pid}, log {member.log}")
        ended = asyncio.ensure_future(it.ended())
        await asyncio.wait({ended, asyncio.ensure_future(stopped.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise ServiceEnded(f"{ended.result().name} ended by itself: see {ended.result().log}")
        ended.cancel()


@cli.command("first-run")
def first_run_command(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Where the gateway listens on loopback.")] = PORT,
    crm_port: Annotated[int, typer.Option(min=1, max=65_535, help="Where the simulated CRM is to listen.")] = 8090,
    data: Annotated[Path, typer.Option(help="What the CRM keeps; the services' folder.")] = Path("./data"),
) -> None:
    """Opens the tenant `acme` where the services were started one by one in development, and runs the simulated CRM."""
    settings = _settings(port=port, data=data)
    logs.configure(level=settings.log_level)
    run(_first_run(settings, crm_port))


async def _first_run(settings: ServiceSettings, crm_port: int) -> None:
    stopped, world, address = (
        stop_signal(),
        make_world(settings, InProcessTransport()),
        f"http://127.0.0.1:{settings.port}",
    )
    crm = settings.data / "crm_simulator"
    crm.mkdir(exist_ok=True)
    hub = Hub(now=world.clock.now, path=crm / "deals.db")
    async with AsyncExitStack() as stack:
        stack.enter_context(at_work(crm, alone=True))
        crm_url = await stack.enter_async_context(on_kept_port(simulator(hub), crm / "port", crm_port))
        upstreams = OverHttp({"gateway": address})
        stack.push_async_callback(upstreams.close)
        await opened_at(address, Api(upstreams.of("gateway")), hub, crm_url)
        _welcome(address, crm_url, settings.data)
        await stopped.wait()


@cli.command("rebuild")
def rebuild_command(
    service: Annotated[str, typer.Argument(help=f"One of {', '.join(SERVICES)}.")],
    model: Annotated[str, typer.Argument(help="One of its read models, as `/readyz` names them.")],
    data: Annotated[Path, typer.Option(help="Where everything is kept.", envvar="ENTENTE_DATA")] = Path("./data"),
) -> None:
    """Fills one read model anew from the logs and swaps it in. Stop the system first."""
    if service not in SERVICES:
        raise typer.BadParameter(f"a service is one of {', '.join(SERVICES)}")
    logs.configure(level="WARNING")
    run(_rebuild(_settings(port=0, data=data), service, model))


async def _rebuild(settings: ServiceSettings, service: str, model: str) -> None:
    world = make_world(settings)
    services = build_all(settings, world)
    async with running(services.values(), world, alone=True):
        await rebuild(services[service], model)


@cli.command("backup")
def backup_command(
    to: Annotated[Path, typer.Option(help="An empty folder; keys lie in it apart from the rest.")],
    data: Annotated[Path, typer.Option(help="Where everything is kept.", envvar="ENTENTE_DATA")] = Path("./data"),
) -> None:
    """Copies everything that a stopped system keeps, keys apart."""
    backup.take(data, SERVICES, to)
    console.print(f"{to}/system and {to}/keys are written: keep them apart", highlight=False, soft_wrap=True)


@cli.command("restore")
def restore_command(
    source: Annotated[Path, typer.Option("--from", help="The folder of a backup.")],
    data: Annotated[Path, typer.Option(help="An empty folder.", envvar="ENTENTE_DATA")] = Path("./data"),
) -> None:
    """Makes the data folder of a backup; start it, then verify each service."""
    backup.bring_back(source, data)
    console.print(f"{data} is as it was: start it, then run verify for each service", highlight=False, soft_wrap=True)


@cli.command("reconcile")
def reconcile_command(
    by: Annotated[str, typer.Option(help="Who orders it; recorded in the restored logs.")],
    data: Annotated[Path, typer.Option(help="Where everything is kept.", envvar="ENTENTE_DATA")] = Path("./data"),
) -> None:
    """Makes a system whole whose log was restored from an older backup, and names what is lost. Stop all services first."""
    logs.configure(level="WARNING")
    run(_reconcile(_settings(port=0, data=data), by))


async def _reconcile(settings: ServiceSettings, by: str) -> None:
    world = make_world(settings)
    services = build_all(settings, world)
    begun: dict[str, EpochBegun] = {}
    async with opened_alone(services.values(), world, alone=True):
        for name, service in services.items():
            if (lost := await reconcile.behind(service)) is not None:
                begun[name] = await reconcile.begin_epoch(service, lost, order_of(by), by)
                _say(reconcile.begun_line(name, begun[name]))
                for line in reconcile.lost_lines(name, lost):
                    _say(line)
        orphans = await reconcile.orphans({name: service.store for name, service in services.items()}, services)
    for orphan in orphans:
        _say(f"rests on what is lost: {orphan.line()}")
    await _fill_anew(settings, begun)
    _say(f"{len(begun)} epochs begun, {len(orphans)} commands rest on what is lost")


async def _fill_anew(settings: ServiceSettings, begun: dict[str, EpochBegun]) -> None:
    """Fills the read models that may hold what is lost; on new worlds, because stores tell their epoch once."""
    world = make_world(settings)
    services = build_all(settings, world)
    async with running(services.values(), world, alone=True):
        for service, model in reconcile.concerned(services, begun):
            await rebuild(service, model)


def _say(line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)


@cli.command("kafka-manifests")
def kafka_manifests_command() -> None:
    """Prints topics, principals and their rights for an administrator of Kafka, as `deploy/kafka` holds them."""
    from chassis.transport.kafka import Settings  # imported only where it is used: 300 ms
    from chassis.transport.manifests import Party, manifests

    with TemporaryDirectory() as folder:
        settings = _settings(port=0, data=Path(folder))
        services = build_all(settings, make_world(settings, InProcessTransport()))
        parties = [Party(service.name, service.hears) for service in services.values()]
    print(manifests(parties, Settings(bootstrap="")), end="")


@cli.command("demo")
def demo_command(
    data: Annotated[Path, typer.Option(help="Where everything is kept.", envvar="ENTENTE_DATA")] = Path("./data"),
    partners: Annotated[int, typer.Option(min=3, max=500)] = 60,
    deals: Annotated[int, typer.Option(min=1, max=20_000)] = 2_000,
    seed: int = 1,
) -> None:
    """Loads a believable quarter of one vendor through the public API."""
    logs.configure(level="WARNING")
    run(_demo(_settings(PORT, data), Size(partners=partners, deals=deals, seed=seed)))


async def _demo(settings: ServiceSettings, size: Size) -> None:
    async with system(settings, alone=True) as (services, hub, crm_url):
        hub.faults.push_off = True  # nobody listens for pushes here: the CRM is polled
        front = first_run.Patient(services["gateway"].api)
        connection_id = await first_run.ensure(front, crm_url)
        await quarter.load(front, crm_url, connection_id, size, console)


if __name__ == "__main__":
    cli()
