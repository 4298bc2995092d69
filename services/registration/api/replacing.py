"""A deal in place of another: what a deal is never changes, so another customer, product, role or scope is a new deal."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from chassis.application import Application
from chassis.decider import Invalid
from chassis.event import LEFT_OUT
from chassis.execution import Peek
from chassis.http import App, Caller, Writer, perform
from contracts.values import PartnerId, RegistrationId
from services.registration.api.asking import customer_of, reached_at
from services.registration.api.bodies import CustomerBody, EditBody, Id, ProductBody, Role, details_of, phones_of
from services.registration.application.registering import Submission, prepare_registration
from services.registration.domain.deal import Deal, Deals, Incomplete
from services.registration.domain.deal_commands import RegisterDeal


class NothingToReplace(Invalid):
    """The new deal would be the old one: name what is to be different, such as another customer, product or scope."""

    slug = "nothing-to-replace"


router = APIRouter(tags=["deals"])


class ReplaceBody(EditBody):
    """What is to be different; all that is left out is as in the deal that is replaced, but for its own reference."""

    customer: CustomerBody | None = None
    products: Annotated[list[ProductBody] | None, Field(min_length=1, max_length=50)] = None
    role: Role | None = None
    deal_type: Literal["new", "expansion", "renewal"] | None = None
    scope: Literal["site", "entity", "group"] | None = None
    confidential: bool | None = None


@router.post("/deals/{registration_id}/replace", status_code=201)
async def replace_deal(registration_id: Id, body: ReplaceBody, caller: Writer, app: App) -> Response:
    """Registers a deal that is to succeed this one, which holds until the new one is approved and ends in that commit."""
    app.access.check(caller.principal, RegisterDeal)
    successor = RegistrationId(caller.new_id("deal"))
    changes, given = _changes(body, successor, caller, app), details_of(app, caller.tenant, successor, body)
    phones = None if body.contacts is None else phones_of(app, caller.tenant, successor, body.contacts)

    async def make(peek: Peek) -> RegisterDeal:
        old: Deal = await peek(Deals.at(registration_id))
        app.access.check(caller.principal, RegisterDeal, old.first.partner_id)
        stands = _as_it_stands(old, successor, caller, app)
        named = replace(stands, **changes, details=replace(stands.details, **given))
        reached = stands.customer.phones if phones is None else phones
        named = replace(named, customer=reached_at(named.customer, reached))
        _says_who(named)
        if _same(named, stands):
            raise NothingToReplace
        return await prepare_registration(peek, app.ports.accounts, caller.tenant, named)

    answer = await perform(caller, app, RegisterDeal, make, status=201)
    answer.headers["Location"] = f"/deals/{successor}"
    return answer


def _as_it_stands(old: Deal, successor: RegistrationId, caller: Caller, app: Application) -> Submission:
    """The deal submitted once more. Texts that are carried over stay sealed with their key, and are forgotten with it."""
    first = old.first
    return Submission(
        registration_id=successor,
        programme=first.programme,
        partner_id=PartnerId(caller.principal.partner_id or first.partner_id),
        customer=first.customer,
        products=first.terms.products,
        role=first.terms.role,
        deal_type=first.terms.deal_type,
        scope=first.reach.place.scope,
        details=replace(old.now_details, partner_reference=None),
        confidential=first.confidential,
        replaces=first.registration_id,
        one_with=caller.principal.absorbed,
        screening_id=caller.new_id("screening"),
        by=caller.principal.by,
        now=app.clock.now(),
    )


def _changes(body: ReplaceBody, successor: RegistrationId, caller: Caller, app: Application) -> dict[str, Any]:
    changes: dict[str, Any] = {name: getattr(body, name) for name in ("role", "deal_type", "scope", "confidential")}
    if body.customer:
        changes["customer"] = customer_of(body.customer, app, caller.tenant, successor)
    if body.products:
        changes["products"] = tuple(product.line() for product in body.products)
    return {name: value for name, value in changes.items() if value is not None}


def _same(named: Submission, stands: Submission) -> bool:
    """Whether the deal is as before. What was sealed anew counts as different: nobody has opened it.

    Telephone numbers are those of the contacts, which are compared with the details.
    """
    customers = [replace(one.customer, libraries={}, phones=LEFT_OUT) for one in (named, stands)]
    return customers[0] == customers[1] and replace(named, customer=stands.customer) == stands


def _says_who(wish: Submission) -> None:
    if not (wish.customer.domain or wish.customer.identifiers or wish.confidential):
        fault = {
            "path": "customer",
            "code": "required",
            "message": "a website or an identifier says who the customer is",
        }
        raise Incomplete(fault["message"], errors=[fault])
