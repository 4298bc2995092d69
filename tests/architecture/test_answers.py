"""What the API's document says of the answers: every operation says what it sends, under a name that stays."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from chassis.process import make_world
from chassis.settings import ServiceSettings
from services.__main__ import build_all
from services.gateway.api.documents import joined

JSON = "application/json"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    settings = ServiceSettings(port=0, data=tmp_path_factory.mktemp("answers"))
    services = build_all(settings, make_world(settings))
    for service in services.values():
        service.application.keys.close()
    return joined(
        [("" if name == "gateway" else f"/v1/{name}", name, one.api.openapi()) for name, one in services.items()]
    )


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, verbs in document["paths"].items():
        yield from ((f"{verb.upper()} {path}", one) for verb, one in verbs.items())


def successes(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The media types of what it answers when it succeeds, with their schemas; redirects have none."""
    for status, told in operation["responses"].items():
        if status.startswith("2"):
            yield from ((media, content.get("schema") or {}) for media, content in told.get("content", {}).items())


def says_little(schema: dict[str, Any]) -> bool:
    return not schema.keys() & {"$ref", "anyOf", "items", "properties"}


def test_every_operation_says_what_it_answers(document: dict[str, Any]) -> None:
    silent = [
        f"{name} ({one['operationId']})"
        for name, one in operations(document)
        if not any(status.startswith("3") for status in one["responses"])
        and all(media == JSON and says_little(schema) for media, schema in successes(one))
    ]
    assert silent == []


def test_every_name_that_an_answer_refers_to_is_there(document: dict[str, Any]) -> None:
    assert set(references(document["paths"])) | set(references(document["components"])) <= {
        f"#/components/schemas/{name}" for name in document["components"]["schemas"]
    }


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(part)


def test_operations_have_names_of_their_own_that_say_service_resource_and_what_is_done(
    document: dict[str, Any],
) -> None:
    named = Counter(one["operationId"] for _, one in operations(document))
    assert [name for name, count in named.items() if count > 1] == []
    assert "registration_deals_register" in named


def test_every_operation_has_a_sentence_for_people(document: dict[str, Any]) -> None:
    assert [name for name, one in operations(document) if not one.get("description")] == []
