"""The OpenAPI document of the public API: what it says of a route is what the route does."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema_rs
import orjson
import pytest
from fastapi import FastAPI, Request

from chassis.asgi import Answer
from services.gateway.adapters.upstreams import InProcess
from services.gateway.api.documents import document_of, examples
from tests.scenarios.examples import MAIN
from tests.scenarios.held import NAME, Contract, closed, rooted
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


async def test_it_is_made_once_for_many_and_anew_while_a_service_is_missing(it: System) -> None:
    app = it.services["gateway"].application
    request = Request({"type": "http", "app": FastAPI()})
    alone = replace(app, ports=replace(app.ports, upstreams=InProcess({})))
    assert "/v1/registration/deals" not in (await document_of(request, alone))["paths"]
    whole = await document_of(request, app)
    assert "/v1/registration/deals" in whole["paths"]
    assert (await document_of(request, app))["paths"] is whole["paths"]


async def test_it_says_that_a_command_needs_a_key(it: System) -> None:
    keyed = {
        name: parameter["required"]
        for name, one in await operations(it)
        for parameter in one.get("parameters", ())
        if parameter["name"] == "Idempotency-Key"
    }
    assert "POST /v1/registration/deals" in keyed
    assert all(keyed.values())


async def test_it_says_how_to_begin_and_what_each_resource_is_for(it: System) -> None:
    document = done(await it.front.get("/v1/openapi.json"))
    said = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert "Authorization: Bearer" in document["info"]["description"]
    assert {tag for _, one in await operations(it) for tag in one["tags"]} <= said.keys()
    assert all(said.values())
    assert len(said) == len(document["tags"])
    assert said["partners"] == "Partners: apply, screen, approve, suspend, read."


async def test_what_every_call_takes_is_explained(it: System) -> None:
    for name, one in await operations(it):
        for parameter in one.get("parameters", ()):
            if parameter["name"] in ("Idempotency-Key", "cursor", "limit", "If-Match", "Entente-At-Least"):
                assert parameter["description"], name
            if parameter["name"] == "Idempotency-Key":
                assert parameter["schema"] == {"type": "string", "minLength": 1, "maxLength": 64}


async def test_the_operations_of_the_main_job_have_examples_that_fit_what_they_take_and_answer(it: System) -> None:
    document = done(await it.front.get("/v1/openapi.json"))
    contract, schemas = Contract(document), closed(document["components"])
    named = jsonschema_rs.Registry([(NAME, {"components": schemas})])
    assert examples().keys() == set(MAIN)
    for name, told in examples().items():
        verb, _, path = name.partition(" ")
        operation = document["paths"][path][verb.lower()]
        answer = Answer()
        answer.status = int(next(status for status in operation["responses"] if status.startswith("2")))
        answer.headers, answer.body = {"content-type": "application/json"}, orjson.dumps(told["answer"])
        assert contract.fault(verb, path, answer) is None, f"{name}: run `make examples`"
        assert operation["responses"][str(answer.status)]["content"]["application/json"]["example"] == told["answer"]
        if "request" in told:
            taken = operation["requestBody"]["content"]["application/json"]
            assert taken["example"] == told["request"]
            jsonschema_rs.Draft202012Validator(rooted(taken["schema"]), registry=named).validate(told["request"])


async def test_an_example_is_taken_as_it_stands(it: System) -> None:
    north, wish = await it.who("northwind"), examples()["POST /v1/registration/deals"]["request"]
    assert "close_on" not in wish
    assert done(await north.post("/v1/registration/deals", wish, key="example"), 201)["status"] == "in_review"
