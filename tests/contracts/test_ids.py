"""Ids that are computed are pinned: another value would rename the past."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.event import NAMESPACE, canonical_json, human_number, stable_id

PARTS = st.lists(st.one_of(st.text(), st.integers(), st.none()), max_size=4)


def test_the_namespace_never_changes() -> None:
    assert "5c0a5b4e-9a53-5c0f-8f0e-6a1f2f1d7a10" == str(NAMESPACE)


@pytest.mark.parametrize(
    ("parts", "identity"),
    [
        (("acme", "a", "k1"), "21c8b3d3-ffff-52bc-a541-faed49c5b511"),
        (("a", 1, None), "cdba5c87-0813-5826-890e-87752c522b0b"),
        (("Zoë", "ü"), "d39dff7e-7b0f-5c0c-abb1-8a13f3b6a54b"),
    ],
)
def test_stable_ids_are_pinned(parts: tuple[str | int | None, ...], identity: str) -> None:
    assert identity == stable_id(*parts)


@pytest.mark.parametrize(
    ("identity", "length", "number"),
    [
        ("b1ef3852-7dcf-50b3-b062-12433cf25e7a", 8, "R-ZAPCWCMH"),
        ("b1ef3852-7dcf-50b3-b062-12433cf25e7a", 4, "R-ZAPC"),
        ("", 8, "R-WERC8GMR"),
    ],
)
def test_human_numbers_are_pinned(identity: str, length: int, number: str) -> None:
    assert number == human_number("R", identity, length)


@given(PARTS, PARTS)
def test_other_parts_give_another_id(one: list[str | int | None], other: list[str | int | None]) -> None:
    assert (one == other) == (stable_id(*one) == stable_id(*other))


@given(PARTS)
def test_a_stable_id_is_a_uuid_of_version_five(parts: list[str | int | None]) -> None:
    assert 5 == uuid.UUID(stable_id(*parts)).version


@given(st.text())
def test_a_human_number_has_no_letter_that_reads_as_a_digit(identity: str) -> None:
    assert not set(human_number("R", identity)[2:]) & set("ILOU")


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"a": 1, "b": "ü"}) == canonical_json({"b": "ü", "a": 1}) == '{"a":1,"b":"ü"}'.encode()
