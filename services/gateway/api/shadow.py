"""Shadow runs of every kind of rules through the one door: the service that has the kind runs them."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from chassis.answers import answers
from chassis.application import Application
from chassis.asgi import Answer
from chassis.decider import NotFound
from chassis.http import JSON, App, Reader, Unavailable, Writer
from chassis.identity import Principal
from chassis.shadow_api import ShadowBody
from chassis.shadow_runs import ShadowRun
from contracts.catalogue import SERVICES
from services.gateway.api.door import call

router = APIRouter(prefix="/v1", tags=["shadow runs"])
NOT_FOUND, AWAY = 404, 503


class KindBody(ShadowBody):
    """As in the service; here the kind is needed, because it says which service is asked."""

    kind: Annotated[str, Field(max_length=64)]


class ShadowRunOf(ShadowRun):
    """A shadow run, and the service that does it."""

    service: str


@router.post("/shadow-runs", status_code=202)
@answers(ShadowRunOf)
async def begin(body: KindBody, request: Request, caller: Writer, app: App) -> Response:
    """Begins a shadow run in the service that has this kind of rules."""
    service = await _service_of(app, caller.principal, body.kind)
    headers = {"idempotency-key": caller.key}
    content = await request.body()
    answer = await call(app, caller.principal, "POST", service, "/shadow-runs", content=content, headers=headers)
    return _passed(answer, service)


@router.get("/shadow-runs/{run_id}")
@answers(ShadowRunOf)
async def result(run_id: Annotated[str, Path(min_length=1, max_length=64)], caller: Reader, app: App) -> Response:
    """How far a run is, and its report once it is ready."""
    away = False
    for service in SERVICES:
        answer = await call(app, caller.principal, "GET", service, f"/shadow-runs/{run_id}")
        if answer.status not in (NOT_FOUND, AWAY):
            return _passed(answer, service)
        away = away or answer.status == AWAY
    raise Unavailable if away else NotFound


def _passed(answer: Answer, service: str) -> Response:
    if not answer.ok:
        media_type = answer.headers.get("content-type", JSON)
        return Response(answer.body, status_code=answer.status, media_type=media_type)
    return Response(orjson.dumps({"service": service, **answer.json()}), status_code=answer.status, media_type=JSON)


async def _service_of(app: Application, who: Principal, kind: str) -> str:
    """The service that has the kind. Raises NotFound, Unavailable when one that may have it is away."""
    away = False
    for service in SERVICES:
        answer = await call(app, who, "GET", service, "/kinds")
        if answer.ok and kind in {one["kind"] for one in _kinds(answer)}:
            return service
        away = away or answer.status == AWAY
    raise Unavailable if away else NotFound(f"no service has rules of kind {kind!r}")


def _kinds(answer: Answer) -> list[dict[str, Any]]:
    kinds: list[dict[str, Any]] = answer.json()["items"]
    return kinds
