"""End customers over HTTP, for the vendor: names, keys, relations, merges, and who claims them, now or then."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.decider import stream_name
from chassis.event import iso
from chassis.execution import Executor
from chassis.http import App, Body, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.read_store.port import Contains
from chassis.segments import StreamContinued
from chassis.store.port import Recorded
from contracts.values import AccountId, RegistrationId
from services.registration.access import READ_ACCOUNTS
from services.registration.api.bodies import Country, CustomerBody, Id, Text
from services.registration.application.on_accounts import cutting, joining, linking, parting
from services.registration.application.ports import GivenCustomer, GivenIdentifier
from services.registration.domain.account import AddKey, ConfirmIdentity, OpenAccount
from services.registration.domain.account_key import DOMAIN, Key, keys_of, own_keys
from services.registration.domain.claim_history import Told, as_known
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.deal import Incomplete
from services.registration.domain.grouping import CutParent, LinkParent
from services.registration.domain.merging import MergeAccounts, SplitAccounts, Target
from services.registration.domain.rules import Matching
from services.registration.projections.accounts import AccountDocument, ClaimsAt, claim_shown

router = APIRouter(tags=["accounts"])

ANY_COUNTRY = "DE"
"""A customer is read with a country; a domain and a world-wide number have none."""
AccountText = Annotated[str, Field(min_length=1, max_length=64)]


class KeyBody(Body):
    """An identifier, or `domain` with an address as its value. `share`: another customer may have it already."""

    scheme: Literal["domain", "vat", "lei", "duns", "registry", "tax"]
    value: Annotated[str, Field(min_length=1, max_length=300)]
    country: Country | None = None
    share: bool = False


class JoinBody(Body):
    """The account that turned out to be this customer, and how that is known."""

    absorbed: AccountText
    reason: Text


class ParentBody(Body):
    """The account that this customer belongs to, and how that is known."""

    parent: AccountText
    reason: Text


class PartBody(Body):
    """The merge to take back, and for each claim that came after it the account that it belongs to."""

    merge_id: AccountText
    targets: Annotated[dict[AccountText, AccountText], Field(max_length=200)] = {}


class AccountBody(CustomerBody):
    """An organisation; what names a natural person is kept with its deals, sealed."""

    natural_person: Literal[False] = False


@router.post("/accounts", status_code=201)
async def open_account(body: AccountBody, caller: Writer, app: App) -> Response:
    """Writes a customer down before any partner asks for it: by an own domain, or a number that can be checked."""
    app.access.check(caller.principal, OpenAccount)
    customer = app.ports.customers.read(body.given())
    keys = keys_of(customer, Matching())
    if not keys:
        message = "an own domain, or a number that can be checked, says who the customer is"
        raise Incomplete(message, errors=[{"path": "known_by", "code": "required", "message": message}])
    account_id, by = AccountId(caller.new_id("account")), caller.principal.by
    command = OpenAccount(account_id=account_id, customer=customer, keys=keys, by=by, now=app.clock.now())
    answer = await perform(caller, app, OpenAccount, command, status=201)
    answer.headers["Location"] = f"/accounts/{account_id}"
    return answer


async def filters(
    app: App,
    country: Annotated[str | None, Query(pattern="^[A-Z]{2}$")] = None,
    domain: Annotated[str | None, Query(max_length=253)] = None,
    name: Annotated[str | None, Query(max_length=120)] = None,
) -> dict[str, Any]:
    """Which customers a list is asked for. `name` is a word of the name or all of it, whatever its case and legal form."""
    return {"country": country, "domain": domain, "words": _found_by(app, name) if name else None}


@router.get("/accounts")
@answers(Page[AccountDocument])
@reads("accounts")
async def accounts(
    caller: Reader,
    app: App,
    paged: Paged,
    where: Annotated[dict[str, Any], Depends(filters)],
    sort: Annotated[str, Query(pattern="^-?name$")] = "name",
) -> Response:
    """The customers by name."""
    app.access.check(caller.principal, READ_ACCOUNTS)
    items, cursor = await page(caller, app, "accounts", paged, where, sort)
    return listed(items, cursor)


def _found_by(app: App, name: str) -> Contains:
    """The name in each normal form that it has; one that has none is found by nothing."""
    first, *others = app.ports.customers.read(GivenCustomer(name=name, country=ANY_COUNTRY)).normal_names or (name,)
    return Contains(first, tuple(others))


@router.get("/accounts/{account_id}")
@answers(AccountDocument)
@reads("accounts")
async def account(account_id: Id, caller: Reader, app: App) -> Response:
    """One customer with everything that is claimed on it now."""
    app.access.check(caller.principal, READ_ACCOUNTS)
    return shown(await app.document(caller.principal, "accounts", account_id))


@router.get("/accounts/{account_id}/claims")
@answers(ClaimsAt)
async def claims(
    account_id: Id, caller: Reader, app: App, at: datetime | None = None, known_at: datetime | None = None
) -> Response:
    """Who claimed and held the customer at `at`, by what the log knew at `known_at`; both are now where not given.

    `position` is the last change of these claims that was known then.
    """
    app.access.check(caller.principal, READ_ACCOUNTS)
    await app.document(caller.principal, "accounts", account_id)
    now = app.clock.now()
    then, known = at or now, known_at or now
    recorded = await _recorded(app.executor, caller.tenant, account_id)
    found = as_known((Told(event=one.event, recorded_at=one.recorded_at) for one in recorded), then, known)
    position = max((one.position for one in recorded if one.recorded_at <= known), default=0)
    items = [claim_shown(claim) for claim in found]
    return shown({"at": iso(then), "known_at": iso(known), "position": position, "items": items})


async def _recorded(executor: Executor, tenant: str, account_id: str) -> list[Recorded]:
    """Every change of the claims on the account, over all segments of their stream."""
    name, found = stream_name(tenant, ClaimsOf.kind, account_id), []
    segment: str | None = name
    while segment is not None:
        recorded = await executor.store.load(segment)
        closed = recorded[-1].event if recorded and isinstance(recorded[-1].event, StreamContinued) else None
        found += recorded[:-1] if closed else recorded
        segment = closed.next if closed else None
    return found


@router.post("/accounts/{account_id}/confirm")
async def confirm(account_id: Id, caller: Writer, app: App) -> Response:
    """Vouches for who a customer is that has no key, so that its deals can be approved."""
    command = ConfirmIdentity(account_id=AccountId(account_id), confirmed_by=caller.principal.by, now=app.clock.now())
    return await perform(caller, app, ConfirmIdentity, command)


@router.post("/accounts/{account_id}/add-key")
async def add_key(account_id: Id, body: KeyBody, caller: Writer, app: App) -> Response:
    """Says that a key is this customer's; one that another customer has only where it is to be shared."""
    key = _key(app, body)
    by, now = caller.principal.by, app.clock.now()
    command = AddKey(account_id=AccountId(account_id), key=key, share=body.share, by=by, now=now)
    return await perform(caller, app, AddKey, command)


def _key(app: Any, body: KeyBody) -> Key:
    """The key as the libraries read it. Raises Incomplete for one that is none."""
    website = body.value if body.scheme == DOMAIN else None
    given = GivenIdentifier(scheme=body.scheme, value=body.value, country=body.country)
    country = body.country or ANY_COUNTRY
    named = GivenCustomer(name="-", country=country, website=website, identifiers=() if website else (given,))
    keys = own_keys(app.ports.customers.read(named))
    if not keys:
        message = f"a {body.scheme} number of {body.country} cannot be checked, so that it cannot tell customers apart"
        raise Incomplete(message, errors=[{"path": "value", "code": "unchecked-identifier", "message": message}])
    return keys[0]


@router.post("/accounts/{account_id}/merge")
async def merge(account_id: Id, body: JoinBody, caller: Writer, app: App) -> Response:
    """Makes one customer of two. Rivals that both held go on holding, contested, and a dispute opens."""
    told = {
        "merge_id": caller.new_id("merge"),
        "reason": app.seal(caller.tenant, f"account-{account_id}", body.reason),
        "by": caller.principal.by,
        "now": app.clock.now(),
    }
    prepare = joining(AccountId(account_id), AccountId(body.absorbed), told)
    return await perform(caller, app, MergeAccounts, prepare)


@router.post("/accounts/{account_id}/link-parent")
async def link(account_id: Id, body: ParentBody, caller: Writer, app: App) -> Response:
    """Says to whom a customer belongs: claims on the whole group reach it, and its own group claims reach the group."""
    told = {
        "link_id": caller.new_id("edge"),
        "reason": app.seal(caller.tenant, f"account-{account_id}", body.reason),
        "by": caller.principal.by,
        "now": app.clock.now(),
    }
    return await perform(caller, app, LinkParent, linking(AccountId(account_id), AccountId(body.parent), told))


@router.post("/accounts/{account_id}/cut-parent")
async def cut(account_id: Id, caller: Writer, app: App) -> Response:
    """Takes a customer out of its group: each side keeps the claims that name one of its own."""
    told = {"by": caller.principal.by, "now": app.clock.now()}
    return await perform(caller, app, CutParent, cutting(AccountId(account_id), told))


@router.post("/accounts/{account_id}/split")
async def split(account_id: Id, body: PartBody, caller: Writer, app: App) -> Response:
    """Takes a merge back: its claims return to their account, later ones go where `targets` says."""
    targets = tuple(
        Target(registration_id=RegistrationId(one), account_id=AccountId(to)) for one, to in body.targets.items()
    )
    told = {"by": caller.principal.by, "now": app.clock.now()}
    return await perform(caller, app, SplitAccounts, parting(AccountId(account_id), body.merge_id, targets, told))
