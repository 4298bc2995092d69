"""Leads from a form on a website: no sign-in, one token a form, and a trap for programs."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, TypedDict

from fastapi import APIRouter, Path, Response

from chassis.answers import answers
from chassis.event import human_number
from chassis.http import App, Reader, Writer, answered, shown
from services.registration.access import SUBMIT_FORM
from services.registration.api.lead_bodies import FormBody, enquiry_of, mail_domain_of, marks_of
from services.registration.application.streams import PROGRAMME, routing_of
from services.registration.domain.lead_commands import SubmitLead

FORM_HOURS_MAX = 24
FormId = Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,64}$")]

router = APIRouter(tags=["forms"])


class FormToken(TypedDict):
    """What the form sends back with its fields."""

    form_id: str
    token: str


class FormAnswer(TypedDict):
    """The number to name when asking about it."""

    number: str


@router.get("/forms/{form_id}")
@answers(FormToken)
async def form(form_id: FormId, caller: Reader, app: App) -> Response:
    """The token that this form carries: it tells how long a person took to fill it in."""
    app.access.check(caller.principal, SUBMIT_FORM)
    begun = app.clock.now().isoformat()
    return shown({"form_id": form_id, "token": f"{begun}|{_mac(app, caller.tenant, form_id, begun)}"})


def _mac(app: App, tenant: str, form_id: str, begun: str) -> str:
    return app.keys.hmac(tenant, f"form|{form_id}|{begun}")


@router.post("/forms/{form_id}/leads", status_code=201)
@answers(FormAnswer)
async def submit(form_id: FormId, body: FormBody, caller: Writer, app: App) -> Response:
    """Takes what a visitor of a website asks for. What looks like spam is held back, and the answer does not say so."""
    app.access.check(caller.principal, SUBMIT_FORM)
    lead_id = caller.new_id("lead")
    enquiry = enquiry_of(app, caller.tenant, lead_id, body, direction="outbound", source="form", form=form_id)
    command = SubmitLead(
        lead_id=lead_id,
        rulebook=routing_of(PROGRAMME),
        number=human_number("L", lead_id),
        programme=PROGRAMME,
        enquiry=enquiry,
        marks=marks_of(app, caller.tenant, enquiry, body),
        mail_domain=mail_domain_of(body),
        seconds=_seconds(app, caller.tenant, form_id, body.token),
        trapped=bool(body.fax),
        by="form",
        now=app.clock.now(),
    )
    outcome = await app.executor.run(caller.order(), command)
    return answered(app, replace(outcome, answer={"number": command.number}), status=201)


def _seconds(app: App, tenant: str, form_id: str, token: str) -> float:
    """How long the form was open; 0 for a token that is none of ours, or of another day."""
    begun, _, mac = token.partition("|")
    if not begun or mac != _mac(app, tenant, form_id, begun):
        return 0.0
    seconds = (app.clock.now() - datetime.fromisoformat(begun)).total_seconds()
    return seconds if seconds <= FORM_HOURS_MAX * 3_600 else 0.0
