"""What two bodies differ in, place by place."""

from typing import Any

import pytest

from chassis.differences import Difference, differences


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": "1"}, [("a", 1, "1")]),
        ({"a": 1}, {}, [("a", 1, None)]),
        ({}, {"b": {"c": 1}}, [("b", None, {"c": 1})]),
        ({"b": {"c": 1, "d": 2}}, {"b": {"c": 3, "d": 2}}, [("b.c", 1, 3)]),
        ({"l": [1, 2, 3]}, {"l": [1, 3]}, [("l[1]", 2, 3), ("l[2]", 3, None)]),
        ({"bands": [{"percent": "10"}]}, {"bands": [{"percent": "12"}]}, [("bands[0].percent", "10", "12")]),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2}, [("a", 1, 2), ("b", 1, 2)]),
    ],
)
def test_every_place_that_differs_is_named_in_order(before: Any, after: Any, expected: list[Any]) -> None:
    wanted = [Difference(path=path, before=old, after=new) for path, old, new in expected]
    assert wanted == list(differences(before, after))
