"""What the vendor keeps for itself, over HTTP."""

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.execution import Peek
from chassis.http import App, Body, Day, Paged, Reader, Writer, listed, page, perform, reads
from contracts.values import AccountId
from services.registration.access import READ_EXCLUSIONS
from services.registration.api.accounts import ANY_COUNTRY
from services.registration.api.bodies import Id
from services.registration.application.ports import GivenCustomer, GivenIdentifier
from services.registration.domain.account import Accounts
from services.registration.domain.account_key import DOMAIN
from services.registration.domain.customer import COUNTRY_SCHEMES, Customer
from services.registration.domain.deal import Incomplete
from services.registration.domain.exclusion import (
    ACCOUNT,
    FAMILY,
    AddExclusion,
    EndExclusion,
    ExclusionList,
    Exclusions,
)
from services.registration.domain.overlap import normal_product
from services.registration.projections.exclusions import ExclusionDocument

COUNTRY = re.compile("[A-Z]{2}")
TARGET_CHARACTERS_MAX = 262
# Its length stands beside the pattern: a pattern that repeats any letter so often takes 1 MiB of memory.
Target = Annotated[
    str, Field(pattern=r"^(account|domain|vat|lei|duns|registry|tax|family):\S", max_length=TARGET_CHARACTERS_MAX)
]

router = APIRouter(tags=["exclusions"])


class ExclusionBody(Body):
    """What is excluded (`account:<id>`, `domain:contoso.com`, `vat:DE:DE136695976`, `family:cloud`), and from when.

    `contacted_on` is when the vendor last spoke to the customer; a `contact` excludes nobody.
    """

    target: Target
    kind: Literal["named", "house", "vendor_direct", "contact"]
    from_on: Day
    until_on: Day | None = None
    contacted_on: Day | None = None


class EndBody(Body):
    target: Target


@router.post("/exclusions", status_code=201)
async def add(body: ExclusionBody, caller: Writer, app: App) -> Response:
    """Keeps a customer, a key or a family for the vendor. Partners that have asked before are not touched."""
    app.access.check(caller.principal, AddExclusion)
    command = AddExclusion(
        target=_normal(app, body.target),
        exclusion_id=caller.new_id("exclusion"),
        kind=body.kind,
        from_on=body.from_on,
        until_on=body.until_on,
        contacted_on=body.contacted_on,
        by=caller.principal.by,
        now=app.clock.now(),
    )

    async def known(peek: Peek) -> AddExclusion:
        kind, _, name = command.target.partition(":")
        if kind == ACCOUNT and not (await peek(Accounts.at(AccountId(name)))).opened:
            raise _refused("no-such-account", f"no customer has the id {name}")
        return command

    return await perform(caller, app, AddExclusion, known, status=201)


def _normal(app: App, target: str) -> str:
    """The target in the form in which deals are compared with it, however it was typed.

    Raises Incomplete for a website or a number that is none: it would keep nobody out, as an unknown account would.
    """
    kind, _, name = target.partition(":")
    if kind == ACCOUNT:
        return target
    if kind == FAMILY:
        return f"{kind}:{normal_product(name)}"
    if kind == DOMAIN:
        return f"{kind}:{_read(app, website=name.strip()).domain}"
    [number] = _read(app, identifiers=(_number(kind, name),)).identifiers
    return f"{kind}:{number.key_value}"


def _number(scheme: str, name: str) -> GivenIdentifier:
    """The number, a national one behind its country."""
    country, _, value = name.rpartition(":")
    if scheme in COUNTRY_SCHEMES and not COUNTRY.fullmatch(country):
        raise _refused("country-missing", f"a {scheme} number stands behind its country, as in {scheme}:DE:")
    return GivenIdentifier(scheme=scheme, value=value, country=country or None)


def _read(app: App, **given: Any) -> Customer:
    """What libraries find in it."""
    try:
        found: Customer = app.ports.customers.read(GivenCustomer(name="-", country=ANY_COUNTRY, **given))
    except Incomplete as error:
        raise _refused(error.fields["errors"][0]["code"], error.detail) from error
    return found


def _refused(code: str, message: str) -> Incomplete:
    return Incomplete(message, errors=[{"path": "target", "code": code, "message": message}])


@router.post("/exclusions/{exclusion_id}/end")
async def end(exclusion_id: Id, body: EndBody, caller: Writer, app: App) -> Response:
    """Takes an entry away; what it decided stays decided. Its target may be named as it was typed or as it is listed."""
    app.access.check(caller.principal, EndExclusion)

    async def make(peek: Peek) -> EndExclusion:
        listed: ExclusionList = await peek(Exclusions.at(body.target))
        target = body.target if listed.of(exclusion_id) else _normal(app, body.target)
        return EndExclusion(target=target, exclusion_id=exclusion_id, by=caller.principal.by, now=app.clock.now())

    return await perform(caller, app, EndExclusion, make)


@router.get("/exclusions")
@answers(Page[ExclusionDocument])
@reads("exclusions")
async def exclusions(
    caller: Reader, app: App, paged: Paged, target: Annotated[str | None, Query(max_length=300)] = None
) -> Response:
    """The entries, the newest first."""
    app.access.check(caller.principal, READ_EXCLUSIONS)
    items, cursor = await page(caller, app, "exclusions", paged, {"target": target}, "-from_on")
    return listed(items, cursor)
