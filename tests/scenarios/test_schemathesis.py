"""Schemathesis over every route of the joined document, from outside, as the vendor's admin and as a partner.

No answer is a fault of ours but 503 with Retry-After, every refusal is a problem document, and every answer has a form
that the document names. The long run asks each route many times.
"""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

ROOT = Path(__file__).parents[2]
NOT_ASKED = {
    ("POST", "/dev/clock"): "it would end every session",
    ("GET", "/v1/stream"): "it has no end; tests/gateway/test_stream.py reads it",
}
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
WHO = ("ada", "northwind")
SHORT, LONG = 2, 20
WAITING = {429, 503}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The whole system in a process of its own, as `make run` starts it."""
    data = tmp_path_factory.mktemp("outside")
    command = [sys.executable, "-m", "services", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "is running:" in line)
        try:
            yield line.split("is running:")[1].split()[0]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def tokens(address: str) -> dict[str, str]:
    return {who: _post(f"{address}/dev/token", {"tenant": "acme", "as": who})["token"] for who in WHO}


def _post(url: str, body: dict[str, str]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def every_route(address: str) -> Any:
    return schemathesis.openapi.from_url(f"{address}/v1/openapi.json", timeout=120)


patient = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.timeout(300)
def test_every_route_answers_as_it_says(every_route: Any, tokens: dict[str, str]) -> None:
    assert faults(every_route, tokens, settings(patient, max_examples=SHORT, derandomize=True)) == {}


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_every_route_answers_as_it_says_however_often_it_is_asked(every_route: Any, tokens: dict[str, str]) -> None:
    assert faults(every_route, tokens, settings(patient, max_examples=LONG)) == {}


def faults(every_route: Any, tokens: dict[str, str], often: settings) -> dict[str, str]:
    """What went wrong, by route."""
    found = {}
    for result in every_route.get_all_operations():
        operation = result.ok()
        try:
            asked(operation, tokens, often)
        except (AssertionError, Failure, FailureGroup) as fault:
            found[operation.label] = str(fault)[:1_000]
    return found


def asked(operation: Any, tokens: dict[str, str], often: settings) -> None:
    @given(case=operation.as_strategy())
    @often
    def one(case: Any) -> None:
        ask(case, tokens)

    one()


def ask(case: Any, tokens: dict[str, str]) -> None:
    if (case.method, case.path) in NOT_ASKED:
        return
    for who in WHO:
        answer = case.call(headers={"Authorization": f"Bearer {tokens[who]}"}, timeout=60)
        refused_clearly(answer)
        if answer.status_code not in WAITING:
            case.validate_response(answer, checks=CHECKS)


def refused_clearly(answer: Any) -> None:
    """What is not done says so in a problem document; what may be tried again says when."""
    if answer.status_code in WAITING:
        assert int(answer.headers["retry-after"][0]) > 0
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == ["application/problem+json"], answer.headers
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert problem["slug"]
