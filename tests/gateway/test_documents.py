"""The OpenAPI document of the public API: what it says of a route is what the route does."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.scenarios.system import System, done

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def operations(it: System) -> Iterator[tuple[str, dict[str, Any]]]:
    paths = done(await it.front.get("/v1/openapi.json"))["paths"]
    return (
        (f"{verb.upper()} {path}", one)
        for path, verbs in paths.items()
        if not path.startswith("/dev/")
        for verb, one in verbs.items()
    )


async def test_it_says_what_needs_no_sign_in(it: System) -> None:
    assert {name for name, one in await operations(it) if one.get("security") == []} == {
        "POST /v1/onboarding/applications",
        "POST /v1/attribution/connections/{connection_id}/push",
        "GET /v1/registration/forms/{form_id}",
        "POST /v1/registration/forms/{form_id}/leads",
    }


async def test_it_says_that_a_command_needs_a_key(it: System) -> None:
    keyed = {
        name: parameter["required"]
        for name, one in await operations(it)
        for parameter in one.get("parameters", ())
        if parameter["name"] == "Idempotency-Key"
    }
    assert "POST /v1/registration/deals" in keyed
    assert all(keyed.values())
