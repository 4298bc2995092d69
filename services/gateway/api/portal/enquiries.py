"""The form of a vendor's website as a page of its own: anybody may ask to be called, nobody signs in."""

import re
import secrets
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from chassis.asgi import Answer
from chassis.http import App, BadRequest
from services.gateway.api.authentication import count_form, count_stranger, nobody
from services.gateway.api.door import call, open_tenant
from services.gateway.api.portal.formats import Formats, locale_of
from services.gateway.api.portal.leads import enquiry
from services.gateway.api.portal.rendering import render
from services.gateway.api.portal.visit import FIELDS_MAX, Form, PageRoute, Refusal, refused, tenancy_of

SERVICE = "registration"
NAME = re.compile(r"[a-z0-9_-]{1,64}")
NUMBER = re.compile(r"L-[0-9A-Z]{8,32}")
CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class NoSuchName(BadRequest):
    """A form is named in up to 64 small letters, digits, hyphens and underscores."""


router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/forms/{form_id}")
async def form(form_id: str, request: Request, app: App, number: str = "") -> Response:
    """The form, empty; with the number of what was just sent, a word of thanks."""
    count_stranger(request)
    sent = number if NUMBER.fullmatch(number) else ""
    return await _shown(request, app, form_id, sent=sent)


async def _shown(
    request: Request, app: App, form_id: str, status: int = 200, refusal: Refusal | None = None, sent: str = ""
) -> Response:
    """The page. Raises NotFound for a vendor that is not there, NoSuchName."""
    slug = await open_tenant(request)
    token = await _token(app, slug, form_id)
    vendor = await tenancy_of(request, app, slug)
    code = request.query_params.get("tracking_code", "")
    context: dict[str, Any] = {
        "vendor": vendor.name,
        "action": f"/forms/{form_id}?{urlencode({'tenant': slug})}",
        "token": token,
        "key": secrets.token_urlsafe(16),
        "tracking_code": code if CODE.fullmatch(code) else "",
        "fmt": Formats(locale_of(request.headers.get("accept-language", "")), ZoneInfo("UTC"), app.clock.now()),
        "refusal": refusal,
        "sent": sent,
    }
    return render(request, "enquiry.html", status, **context)


async def _token(app: App, slug: str, form_id: str) -> str:
    if not NAME.fullmatch(form_id):
        raise NoSuchName
    answer = await call(app, nobody(slug), "GET", SERVICE, f"/forms/{form_id}")
    return str(answer.json().get("token", "")) if answer.ok else ""


@router.post("/forms/{form_id}")
async def send(form_id: str, request: Request, app: App) -> Response:
    """Sends what the visitor wrote. What looks like spam is answered like everything else."""
    count_stranger(request)
    count_form(request)
    slug = await open_tenant(request)
    sent = await _sent(request)
    answer = await _submitted(app, slug, form_id, sent)
    if answer.ok:
        query = urlencode({"tenant": slug, "number": answer.json()["number"]})
        return RedirectResponse(f"/forms/{form_id}?{query}", status_code=303)
    return await _shown(request, app, form_id, answer.status, refused("enquiry", sent, answer))


async def _sent(request: Request) -> Form:
    given = await request.form(max_files=0, max_fields=FIELDS_MAX)
    values = {name: value for name, value in given.items() if isinstance(value, str)}
    return Form(values=values, lists={name: [value] for name, value in values.items()}, key=values.get("key", "")[:64])


async def _submitted(app: App, slug: str, form_id: str, sent: Form) -> Answer:
    if not NAME.fullmatch(form_id):
        raise NoSuchName
    body = {**enquiry(sent), **sent.given("tracking_code", "fax"), "token": sent.text("token")}
    headers = {"idempotency-key": sent.key or secrets.token_urlsafe(16)}
    path = f"/forms/{form_id}/leads"
    return await call(app, nobody(slug), "POST", SERVICE, path, content=orjson.dumps(body), headers=headers)
