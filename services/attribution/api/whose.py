"""Whose things a list is about: a partner's own and those of who it absorbed; for the vendor all, or who is named."""

from collections.abc import Sequence

from chassis.application import Application
from chassis.http import Caller
from chassis.read_store.port import Contains
from services.attribution.projections.mergers import one_with


async def asked_for(caller: Caller, app: Application, partner_id: str | None = None) -> tuple[str, ...]:
    """The partners that a list is about: a partner's own, else who is asked for and is one with it; none for all."""
    mine = caller.principal.partner_ids
    return mine or (await one_with(app, caller.tenant, partner_id) if partner_id else ())


def named(ids: Sequence[str]) -> Contains | None:
    """The filter on documents that name one of these partners; None for all."""
    return Contains.any_of(ids) if ids else None
