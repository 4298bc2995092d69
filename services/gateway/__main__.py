"""The command line of the gateway: serve, migrate, rebuild, verify, parked, and the first steps of a tenant."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from chassis.cli import BY, DATA, command_line, open_service, order_of
from chassis.decider import NotFound
from chassis.http import Body
from chassis.process import run
from services.gateway.api.identities import StaffBody, TenantBody, joining, opening
from services.gateway.app import Settings, build
from services.gateway.domain.tenant import Tenants

ADMIN = "admin"
B = TypeVar("B", bound=Body)


def gateway() -> typer.Typer:
    """The commands that every service has, and those of an operator who lets a vendor in."""
    cli = command_line("gateway", Settings, build)

    @cli.command("open-tenant")
    def open_tenant(
        slug: str,
        by: BY,
        name: Annotated[str, typer.Option(help="The vendor, as people read it.")],
        zone: Annotated[str, typer.Option(help="Its time zone, e.g. Europe/Berlin.")],
        currency: Annotated[str, typer.Option(help="Its currency, e.g. EUR.")],
        data: DATA = Path("./data"),
    ) -> None:
        """Opens a tenant. The service may be at work: it tells the others."""
        body = _body(TenantBody, slug=slug, name=name, zone=zone, currency=currency)
        run(_open_tenant(data, body, by))

    @cli.command("add-admin")
    def add_admin(
        tenant: str,
        handle: str,
        by: BY,
        name: str = typer.Option(),
        mail: str = typer.Option(help="The address that the issuer confirms."),
        data: DATA = Path("./data"),
    ) -> None:
        """Adds somebody to a vendor's staff who can add everybody else."""
        body = _body(StaffBody, handle=handle, name=name, mail=mail, roles=[ADMIN])
        run(_add_admin(data, tenant, body, by))

    return cli


def _body(kind: type[B], **values: Any) -> B:
    """What the public API would take. Raises BadParameter for what it would refuse."""
    try:
        return kind(**values)
    except ValidationError as no:
        faults = (f"{fault['loc'][0]}: {fault['msg']}" for fault in no.errors())
        raise typer.BadParameter("; ".join(faults)) from None


async def _open_tenant(data: Path, body: TenantBody, by: str) -> None:
    async with open_service(Settings.read(data=data), build) as service:
        app = service.application
        order = replace(order_of(by), tenant=body.slug)
        await app.executor.run(order, opening(body, by, app.clock.now()))
    typer.echo(f"{body.slug} is open")


async def _add_admin(data: Path, tenant: str, body: StaffBody, by: str) -> None:
    async with open_service(Settings.read(data=data), build) as service:
        app = service.application
        known, _ = await app.executor.state(tenant, Tenants.at(tenant))
        if not known.opened:
            raise NotFound(f"{tenant} is not open")
        await app.executor.run(replace(order_of(by), tenant=tenant), joining(app, tenant, body, by))
    typer.echo(f"{body.handle} is an admin of {tenant}")


if __name__ == "__main__":
    gateway()()
