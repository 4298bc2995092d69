"""What the pages of rules say of their versions."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from services.gateway.api.portal.rules import newest_first

HERE: Any = SimpleNamespace(now=datetime(2031, 3, 3, 9, tzinfo=UTC))


def version(number: int, since: str, until: str | None = None, mode: str = "live") -> dict[str, Any]:
    return {"version": number, "effective_from": since, "effective_until": until, "mode": mode}


def test_one_version_is_in_force_and_those_before_it_that_have_no_end_are_replaced() -> None:
    versions = [
        version(1, "2031-01-01T00:00:00Z", "2031-02-01T00:00:00Z"),
        version(2, "2031-02-01T00:00:00Z"),
        version(3, "2031-03-01T00:00:00Z", mode="shadow"),
        version(4, "2031-03-02T00:00:00Z"),
        version(5, "2031-04-01T00:00:00Z"),
    ]
    assert [(one["version"], one["when"]) for one in newest_first(versions, HERE)] == [
        (5, "future"),
        (4, "law"),
        (3, "law"),
        (2, "replaced"),
        (1, "past"),
    ]
