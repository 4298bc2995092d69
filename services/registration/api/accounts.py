"""End customers over HTTP, for the vendor: names, keys, relations, live claims."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from chassis.http import App, Paged, Reader, Writer, listed, page, perform, reads, shown
from contracts.values import AccountId
from services.registration.access import READ_ACCOUNTS
from services.registration.api.bodies import Id
from services.registration.domain.account import ConfirmIdentity

router = APIRouter(tags=["accounts"])


@router.get("/accounts")
@reads("accounts")
async def accounts(
    caller: Reader,
    app: App,
    paged: Paged,
    country: Annotated[str | None, Query(pattern="^[A-Z]{2}$")] = None,
    domain: Annotated[str | None, Query(max_length=253)] = None,
    sort: Annotated[str, Query(pattern="^-?name$")] = "name",
) -> Response:
    """The customers by name."""
    app.access.check(caller.principal, READ_ACCOUNTS)
    items, cursor = await page(caller, app, "accounts", paged, {"country": country, "domain": domain}, sort)
    return listed(items, cursor)


@router.get("/accounts/{account_id}")
@reads("accounts")
async def account(account_id: Id, caller: Reader, app: App) -> Response:
    """One customer with everything that is claimed on it now."""
    app.access.check(caller.principal, READ_ACCOUNTS)
    return shown(await app.document(caller.principal, "accounts", account_id))


@router.post("/accounts/{account_id}/confirm")
async def confirm(account_id: Id, caller: Writer, app: App) -> Response:
    """Vouches for who a customer is that has no key, so that its deals can be approved."""
    command = ConfirmIdentity(account_id=AccountId(account_id), confirmed_by=caller.principal.by, now=app.clock.now())
    return await perform(caller, app, ConfirmIdentity, command)
