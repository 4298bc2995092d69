"""The examples in the document of the public API, taken from a run of the main job: `make examples` writes them."""

import asyncio
import re
import tempfile
from pathlib import Path
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.asgi import Answer, Api
from services.gateway.api.documents import EXAMPLES
from tests.scenarios.main_job import DEALS, Story, main_job
from tests.scenarios.system import UUID, System, done, running_system

MAIN = (
    "GET /v1/me",
    "POST /v1/clients",
    "POST /v1/onboarding/applications",
    "POST /v1/onboarding/partners",
    "POST /v1/onboarding/partners/{partner_id}/approve",
    "GET /v1/onboarding/partners/{partner_id}",
    "POST /v1/registration/deals",
    "POST /v1/registration/deals/preview",
    "GET /v1/registration/deals",
    "GET /v1/registration/deals/{registration_id}",
    "GET /v1/registration/deals/{registration_id}/conflicts",
    "POST /v1/registration/deals/{registration_id}/decide-finding",
    "POST /v1/registration/deals/{registration_id}/approve",
    "POST /v1/registration/rulebooks",
    "POST /v1/registration/rulebooks/{rulebook_id}/publish",
    "GET /v1/attribution/opportunities",
    "GET /v1/attribution/opportunities/{opportunity_id}/credit",
    "GET /v1/incentives/lines",
    "GET /v1/incentives/lines/{line_id}",
    "POST /v1/incentives/statements",
    "GET /v1/incentives/statements/{statement_id}",
    "POST /v1/incentives/payments",
    "POST /v1/incentives/payments/{payment_id}/approve",
    "POST /v1/incentives/payments/{payment_id}/submit",
    "GET /v1/incentives/payments/{payment_id}",
    "GET /v1/deals",
    "GET /v1/deals/{registration_id}",
    "GET /v1/timeline/{subject}",
    "GET /v1/why/{event_id}",
    "GET /v1/search",
)
"""The operations that the main job stands on."""
APPLICATION = {
    "legal_name": "Harbour Lane Systems Ltd",
    "country": "GB",
    "domains": ["harbourlane.example"],
    "types": ["reseller"],
}
LIST_MAX = 2
SECRET = re.compile(r"(ent_live_[a-z0-9-]+\.[^.\"]+\.)[^\"]+")
FRACTION = re.compile(r"(\d{2}:\d{2}:\d{2})\.\d+(?=Z|\+)")


class Heard:
    """The app, and what good answers it gave to which requests: the last one of each method and path."""

    def __init__(self, app: ASGIApp, kept: dict[tuple[str, str], tuple[bytes, Any]]) -> None:
        self._app, self._kept = app, kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked, answer = bytearray(), Answer()

        async def receiving() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            await answer.take(message)
            await send(message)

        await self._app(scope, receiving, sending)
        if answer.ok and answer.headers.get("content-type") == "application/json":
            self._kept[scope["method"], scope["path"]] = bytes(asked), answer.json()


async def told(data: Path) -> dict[str, dict[str, Any]]:
    """The examples by operation, of a run with its files in a folder."""
    kept: dict[tuple[str, str], tuple[bytes, Any]] = {}
    async with running_system(data, client=lambda app: Api(Heard(app, kept))) as it:
        await read_on(it, await main_job(it))
        document = done(await it.front.get("/v1/openapi.json"))
    return plain({name: example(name, document, kept) for name in MAIN})


async def read_on(it: System, story: Story) -> None:
    """What the main job itself does not ask for."""
    north, ada, faye = [await it.who(name) for name in ("northwind", "ada", "faye")]
    await it.front.post("/v1/onboarding/applications", APPLICATION, key="apply", entente_tenant="acme")
    partner = done(await ada.post("/v1/onboarding/partners", APPLICATION, key="invite"), 201)["partner_id"]
    done(await ada.post(f"/v1/onboarding/partners/{partner}/approve", {}, key="approve"))
    draft = {"rulebook_id": "default", "kind": "deal_rules", "body": {"zone": "Europe/Berlin"}}
    version = done(await ada.post("/v1/registration/rulebooks", draft, key="draft"), 201)["version"]
    done(await faye.post("/v1/registration/rulebooks/default/publish", {"version": version}, key="publish"))
    client = {"name": "Nightly report", "scopes": ["registration:read", "incentives:read"], "days": 90}
    done(await north.post("/v1/clients", client, key="client"), 201)
    await it.settle()
    sale = done(await ada.get("/v1/attribution/opportunities"))["items"][0]["opportunity_id"]
    line = done(await north.get("/v1/incentives/lines"))["items"][0]
    for who, path in (
        (ada, f"/v1/onboarding/partners/{partner}"),
        (ada, f"/v1/attribution/opportunities/{sale}/credit"),
        (north, "/v1/me"),
        (north, DEALS),
        (north, f"{DEALS}/{story.deal_id}"),
        (north, "/v1/deals"),
        (north, f"/v1/deals/{story.deal_id}"),
        (north, f"/v1/timeline/{story.deal_id}"),
        (north, f"/v1/incentives/lines/{line['line_id']}"),
        (north, f"/v1/incentives/statements/{story.seen['statement']['statement_id']}"),
        (north, f"/v1/why/{line['event_id']}"),
        (north, "/v1/search?q=contoso"),
    ):
        done(await who.get(path))


def example(name: str, document: Any, kept: dict[tuple[str, str], tuple[bytes, Any]]) -> dict[str, Any]:
    """The request, where it has a body, and the answer of an operation, with the first parts of long lists."""
    method, _, path = name.partition(" ")
    shape = re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)))
    assert method.lower() in document["paths"][path], name
    literal = {one for one in document["paths"] if "{" not in one} - {path}
    found = [one for (verb, at), one in kept.items() if verb == method and shape.fullmatch(at) and at not in literal]
    asked, answer = found[-1]
    return {**({"request": undated(orjson.loads(asked))} if asked else {}), "answer": cut(answer)}


def undated(request: dict[str, Any]) -> dict[str, Any]:
    """The request without the day when a deal closes, which need not be said: the story's is not near anybody's today."""
    return {name: value for name, value in request.items() if name != "close_on"}


def cut(value: Any) -> Any:
    if isinstance(value, list):
        return [cut(one) for one in value[:LIST_MAX]]
    return {name: cut(one) for name, one in value.items()} if isinstance(value, dict) else value


def plain(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The examples with ids that say that they are examples, whole seconds and no secret."""
    text, ids = orjson.dumps(found).decode(), dict[str, str]()

    def named(hit: re.Match[str]) -> str:
        if "-" not in hit[0]:
            return hit[0]
        return ids.setdefault(hit[0], f"00000000-0000-4000-8000-{len(ids) + 1:012}")

    made: dict[str, dict[str, Any]] = orjson.loads(SECRET.sub(r"\1…", FRACTION.sub(r"\1", UUID.sub(named, text))))
    return made


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(told(Path(folder)))
    EXAMPLES.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
