"""A payment on a page of its own: where it stands and why, its invoice, and the next step of whoever may take it."""

import asyncio

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.money import VERBS, people_of
from services.gateway.api.portal.payees import payee_names
from services.gateway.api.portal.visit import Here, PageRoute, Refusal, Sent, Visit, refused

READ = "incentives.read payments"

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/payments/{payment_id}")
async def payment(payment_id: str, here: Here) -> Response:
    """One payment, from its statement to the bank."""
    return await payment_page(here, payment_id)


async def payment_page(here: Visit, payment_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(READ):
        raise Forbidden
    found = await here.ask_one("incentives", f"/payments/{payment_id}")
    it = found.one
    names, people, why, payees = await asyncio.gather(
        here.names({it.get("partner_id")}),
        people_of(here, [it] if it else []),
        here.ask("incentives", f"/why/{it['event_id']}" if it else "/why/none"),
        here.ask_if("incentives.read bank and tax", f"/payees/{it.get('payee_id', 'none')}"),
    )
    shown = {"part": found, "it": it, "names": names, "people": people, "why": why, "payee": payees.one}
    shown["payee_names"] = await payee_names(here, [it] if it else [])
    return await here.page("payment.html", status, **shown, refusal=refusal)


INVOICE = ("number", "net", "tax", "country", "invoice_sha256")


@router.post("/payments/{payment_id}/{verb}")
async def step(payment_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """A step of a payment: an invoice is handed in, a second person approves or declines, finance submits."""
    if verb != "invoice" and verb not in VERBS:
        raise NotFound
    body = sent.given(*INVOICE) if verb == "invoice" else VERBS[verb](sent)
    answer = await here.send(sent, "incentives", f"/payments/{payment_id}/{verb}", body)
    if answer.ok:
        return here.went(answer, f"/payments/{payment_id}", verb)
    return await payment_page(here, payment_id, refused(verb, sent, answer), answer.status)
