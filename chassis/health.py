"""Whether a process lives, and whether it is ready: every service and every read model of it; and what it counts."""

from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from chassis.http import JSON

probes = APIRouter(tags=["health"], include_in_schema=False)
figures = APIRouter(tags=["health"], include_in_schema=False)
UNTRACED = TelemetryConfig(tracing=False, metrics=False, logs=False)
"""The framework's own telemetry looks for providers at every request; `chassis.telemetry` counts instead."""


@probes.get("/livez")
async def alive() -> Response:
    """200 as long as the process answers."""
    return Response(b'{"alive":true}', media_type=JSON)


@probes.get("/readyz")
async def ready(request: Request) -> Response:
    """200 once every service of the process works and its read models were filled; the body says what is behind since."""
    state = await readiness(request.app.state.world.neighbours)
    return Response(orjson.dumps(state), 200 if state["ready"] else 503, media_type=JSON)


@figures.get("/metrics")
async def metrics(request: Request) -> Response:
    """The figures of every service of the process, in Prometheus's text form."""
    texts = [await service.figures() for service in request.app.state.world.neighbours.values()]
    return Response(b"".join(texts), media_type=CONTENT_TYPE_LATEST)


async def readiness(services: Any) -> dict[str, Any]:
    """The state of each service, and of all together."""
    states = {name: await service.readiness() for name, service in services.items()}
    return {"ready": all(state["ready"] for state in states.values()), "services": states}


def internal(world: Any) -> FastAPI:
    """Probes and figures of all services of a process, for a port that only the platform reaches."""
    app = FastAPI(title="Entente probes", docs_url=None, redoc_url=None, openapi_url=None, telemetry=UNTRACED)
    app.router.routes += [*probes.routes, *figures.routes]
    app.state.world = world
    return app
