"""Whether a process lives, and whether it is ready: every service and every read model of it."""

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from chassis.http import JSON

router = APIRouter(tags=["health"], include_in_schema=False)


@router.get("/livez")
async def alive() -> Response:
    """200 as long as the process answers."""
    return Response(b'{"alive":true}', media_type=JSON)


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """200 only when every service of the process and every read model is ready; the body says what is behind."""
    state = await readiness(request.app.state.world.neighbours)
    return Response(orjson.dumps(state), 200 if state["ready"] else 503, media_type=JSON)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """The figures of every service of the process, in Prometheus's text form."""
    texts = [await service.figures() for service in request.app.state.world.neighbours.values()]
    return Response(b"".join(texts), media_type=CONTENT_TYPE_LATEST)


async def readiness(services: Any) -> dict[str, Any]:
    """The state of each service, and of all together."""
    states = {name: await service.readiness() for name, service in services.items()}
    return {"ready": all(state["ready"] for state in states.values()), "services": states}
