"""Whose things a caller reads: the vendor all, a partner its own and those of partners that are one with it now."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chassis.access import sees
from chassis.application import Application
from chassis.decider import NotFound
from chassis.http import Caller
from chassis.read_store.port import Contains
from services.attribution.projections.mergers import one_with


async def own_ids(caller: Caller, app: Application) -> tuple[str, ...]:
    """The ids that are the caller's own; none for the vendor."""
    mine = caller.principal.partner_id
    return await one_with(app, caller.tenant, mine) if mine else ()


async def asked_for(caller: Caller, app: Application, partner_id: str | None = None) -> tuple[str, ...]:
    """The partners that a list is about: a partner's own, else who is asked for; none for all."""
    whose = caller.principal.partner_id or partner_id
    return await one_with(app, caller.tenant, whose) if whose else ()


def named(ids: Sequence[str]) -> Contains | None:
    """The filter on documents that name one of these partners; None for all."""
    return Contains(ids[0], tuple(ids[1:])) if ids else None


async def document_of(caller: Caller, app: Application, model: str, identity: str) -> dict[str, Any]:
    """One document that the caller may see. Raises NotFound alike for what is not there and what is not theirs."""
    found = await app.read.get(model, caller.tenant, identity)
    who = caller.principal
    eyes = [replace(who, partner_id=one) for one in await own_ids(caller, app)] or [who]
    if found is None or not any(sees(one, found) for one in eyes):
        raise NotFound
    return found
