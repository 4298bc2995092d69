"""Only in development: a token for anybody, a sign-in page without passwords, and a clock that can be set forward."""

from datetime import datetime
from typing import Annotated, Any, TypedDict

import orjson
from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import AwareDatetime, Field

from chassis.answers import answers
from chassis.clock import DevClock
from chassis.event import iso
from chassis.http import JSON, App, Body
from services.gateway.adapters.development import identities, principal_of
from services.gateway.api.authentication import keep_session, open_session, own_path
from services.gateway.api.portal.pages import render

router = APIRouter(prefix="/dev", tags=["development"])


class TokenBody(Body):
    """`as`: a staff handle, a partner's short name or id, a vendor role, `operator`, or `operator:<name>`."""

    tenant: Annotated[str, Field(min_length=3, max_length=40)]
    as_: Annotated[str, Field(alias="as", min_length=1, max_length=80)]


class ClockBody(Body):
    to: AwareDatetime


class SessionToken(TypedDict):
    """A bearer token, and who one is with it."""

    token: str
    token_type: str
    subject: str
    kind: str
    partner_id: str | None


Identity = TypedDict(
    "Identity",
    {
        "as": str,
        "kind": str,
        "subject": str,
        "partner_id": str | None,
        "partner_name": str | None,
        "roles": list[str],
        "duties": list[str],
    },
)
"""Who can sign in, and by which name."""


class Identities(TypedDict):
    items: list[Identity]


class Clock(TypedDict):
    """The present instant as the services see it."""

    now: Annotated[str, datetime]


@router.post("/token")
@answers(SessionToken)
async def token(body: TokenBody, app: App) -> Response:
    """A session's bearer token for anybody known to the tenant."""
    who = await principal_of(app, body.tenant, body.as_)
    made = await open_session(app, who)
    answer = {
        "token": made,
        "token_type": "Bearer",
        "subject": who.subject,
        "kind": who.kind,
        "partner_id": who.partner_id,
    }
    return Response(orjson.dumps(answer), media_type=JSON)


@router.get("/identities")
@answers(Identities)
async def known(app: App, tenant: Annotated[str, Query(max_length=40)] = "acme") -> Response:
    """Who can sign in to the tenant here."""
    return Response(orjson.dumps({"items": await identities(app, tenant)}), media_type=JSON)


@router.post("/clock")
@answers(Clock)
async def clock(body: ClockBody, app: App) -> Response:
    """Sets the clock of all services forward; deadlines up to there come due."""
    moving: Any = app.clock
    if isinstance(moving, DevClock):
        moving.advance(body.to)
    return Response(orjson.dumps({"now": iso(app.clock.now())}), media_type=JSON)


@router.get("/clock")
@answers(Clock)
async def now(app: App) -> Response:
    """The present instant as the services see it."""
    return Response(orjson.dumps({"now": iso(app.clock.now())}), media_type=JSON)


@router.get("/sign-in", response_class=HTMLResponse)
async def sign_in_page(
    request: Request, app: App, tenant: Annotated[str, Query(max_length=40)] = "acme", return_to: str = "/"
) -> Response:
    """Everybody who can sign in, a button each; from there on to the page that was asked for."""
    everybody = await identities(app, tenant)
    return render(request, "sign_in.html", tenant=tenant, identities=everybody, return_to=own_path(return_to))


@router.post("/sign-in", status_code=303, response_class=RedirectResponse)
async def sign_in(
    request: Request,
    app: App,
    tenant: Annotated[str, Form(max_length=40)],
    as_: Annotated[str, Form(alias="as", max_length=80)],
    return_to: Annotated[str, Form()] = "/",
) -> Response:
    """Signs in by a cookie and goes to the portal, to the page that was asked for."""
    who = await principal_of(app, tenant, as_)
    made = await open_session(app, who)
    answer = RedirectResponse(own_path(return_to), status_code=303)
    keep_session(answer, app, made, secure=request.url.scheme == "https")
    return answer
