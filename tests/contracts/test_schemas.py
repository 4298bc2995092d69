"""The generated documents are those of the classes, and public judges accept them."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

from chassis.transport.headers import FIELDS, REQUIRED
from contracts import schemas
from contracts.catalogue import SERVICES, public_events
from contracts.samples import FOLDER, as_stored, sample
from contracts.schemas import DOCS, schema

TYPES = [cls.type for cls in public_events()]
BY_TYPE = {cls.type: cls for cls in public_events()}


def judge(name: str) -> Any:
    return jsonschema_rs.Draft202012Validator(schema(BY_TYPE[name]), validate_formats=True)


@pytest.mark.parametrize("name", TYPES)
def test_golden_samples_fit_the_schema_of_their_event(name: str) -> None:
    judge(name).validate(json.loads(as_stored((FOLDER / f"{name}.json").read_bytes())))
    judge(name).validate(json.loads(sample(name, full=False)))


@pytest.mark.parametrize(
    "amount", [1.5, "1,50", "NaN", "1E2", "1234567890123456.00", "", "+1.00"], ids=lambda amount: str(amount) or "empty"
)
def test_money_that_is_not_exact_text_does_not_fit(amount: object) -> None:
    name = "entente.incentives.PaymentApproved.v1"
    body = json.loads(sample(name))
    assert judge(name).is_valid(body)
    assert not judge(name).is_valid(body | {"amount": {"amount": amount, "currency": "EUR"}})


@pytest.mark.parametrize(("field", "value"), [("won_at", "yesterday"), ("closed_on", "03.03.2026"), ("win_no", "1")])
def test_a_value_of_another_form_does_not_fit(field: str, value: str) -> None:
    name = "entente.attribution.DealWon.v1"
    assert not judge(name).is_valid(json.loads(sample(name)) | {field: value})


def test_an_unknown_field_fits_so_that_later_releases_may_add_some() -> None:
    name = "entente.registration.DealWithdrawn.v1"
    assert judge(name).is_valid(json.loads(sample(name)) | {"new_in_v2": True})


@pytest.mark.parametrize("name", TYPES)
def test_a_schema_names_and_describes_its_event(name: str) -> None:
    made = schema(BY_TYPE[name])
    assert f"urn:entente:schema:{name}" == made["$id"]
    assert name.split(".")[2] == made["title"]
    assert made["description"].endswith(".")


def test_the_documents_are_those_of_the_classes() -> None:
    wanted = {f"schemas/{name}.json": schema(cls) for name, cls in BY_TYPE.items()}
    wanted["asyncapi.json"] = schemas.asyncapi()
    for file, document in wanted.items():
        assert document == json.loads((DOCS / file).read_text()), f"{file}: run `make schemas`"
    kept = {f"schemas/{path.name}" for path in (DOCS / "schemas").iterdir()}
    assert kept == set(wanted) - {"asyncapi.json"}


def test_two_runs_write_the_same_documents(tmp_path: Any) -> None:
    assert len(TYPES) + 1 == len(schemas.write(tmp_path))
    assert [] == schemas.write(tmp_path)


def test_asyncapi_has_a_channel_for_each_topic_and_every_event_in_one() -> None:
    channels = schemas.asyncapi()["channels"]
    assert {f"entente.{service}" for service in SERVICES} == {channel["address"] for channel in channels.values()}
    told = {key for channel in channels.values() for key in channel["messages"]}
    assert told == {name.removeprefix("entente.") for name in TYPES}


def test_asyncapi_tells_the_headers_that_the_transport_writes() -> None:
    assert set(FIELDS) <= set(schemas.HEADERS)
    assert set(schemas.ALWAYS) == REQUIRED | {"ce_specversion"}


def test_the_public_parser_accepts_the_asyncapi_document(asyncapi_complaints: Callable[[str], list[str]]) -> None:
    assert [] == asyncapi_complaints((DOCS / "asyncapi.json").read_text())


def test_the_public_parser_refuses_a_broken_document(asyncapi_complaints: Callable[[str], list[str]]) -> None:
    broken = schemas.asyncapi()
    del broken["info"]
    assert asyncapi_complaints(json.dumps(broken))
