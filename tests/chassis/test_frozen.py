"""Frozen values of our own are to everybody what the library's frozen dataclasses are."""

import dataclasses
import inspect
import pickle
from collections.abc import Callable
from typing import Any, dataclass_transform

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chassis.event import Light, encode, replace
from chassis.frozen import frozen


@frozen
class Named:
    name: str


@frozen
class Parcel(Named):
    """Something with every kind of field."""

    weight: int = 1
    marks: list[str] = dataclasses.field(default_factory=list)
    note: str = dataclasses.field(default="", compare=False)
    shown: str = dataclasses.field(default="-", repr=False)
    opened: dict[str, int] = dataclasses.field(default_factory=dict, init=False)
    _kept: int = dataclasses.field(default=7, init=False)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,))
def library(cls: type[Any]) -> type[Any]:
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


def pair(make: Callable[[type[Any]], type[Any]]) -> type[Any]:
    @make
    class Pair:
        first: int
        second: str = "b"

    return Pair


OURS, THEIRS = pair(frozen), pair(library)
FIELDS = st.fixed_dictionaries({"first": st.integers(0, 2)}, optional={"second": st.sampled_from(["a", "b"])})


@given(FIELDS, FIELDS)
def test_two_are_equal_hash_alike_and_read_as_the_librarys_would(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (OURS(**one) == OURS(**other)) == (THEIRS(**one) == THEIRS(**other))
    assert hash(OURS(**one)) == hash(THEIRS(**one))
    assert repr(OURS(**one)) == repr(THEIRS(**one))
    assert dataclasses.asdict(OURS(**one)) == dataclasses.asdict(THEIRS(**one))
    assert msgspec.json.encode(OURS(**one)) == msgspec.json.encode(THEIRS(**one))
    assert [field.name for field in dataclasses.fields(OURS)] == [field.name for field in dataclasses.fields(THEIRS)]


def test_what_is_left_out_has_its_default_and_a_new_list_each_time() -> None:
    one, other = Parcel(name="a"), Parcel(name="a", marks=["x"], weight=3)
    assert (one.weight, one.marks, one.note, one.opened, one._kept) == (1, [], "", {}, 7)
    assert (other.weight, other.marks) == (3, ["x"])
    assert one.marks is not Parcel(name="a").marks
    assert one.opened is not Parcel(name="a").opened


def test_only_fields_that_are_compared_make_a_difference_and_only_those_shown_are_read() -> None:
    assert Parcel(name="a", note="x") == Parcel(name="a", note="y")
    assert Parcel(name="a") != Parcel(name="b")
    assert Parcel(name="a") != Named(name="a")
    assert repr(Parcel(name="a", shown="no")) == "Parcel(name='a', weight=1, marks=[], note='', opened={}, _kept=7)"


@pytest.mark.parametrize("given", [{}, {"name": "a", "size": 1}, {"name": "a", "opened": {}}])
def test_a_field_that_is_missing_or_unknown_or_nobodys_to_give_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Parcel(**given)


def test_fields_are_given_by_name_and_never_change() -> None:
    with pytest.raises(TypeError):
        Named("a")  # type: ignore[misc]
    one = Named(name="a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="Named is immutable: 'name' stays as it is"):
        one.name = "b"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.name
    assert one.name == "a"


def test_it_can_be_replaced_pickled_stored_and_read_again() -> None:
    one = Parcel(name="a", weight=2, marks=["x"])
    assert replace(one, weight=3) == Parcel(name="a", weight=3, marks=["x"])
    assert dataclasses.replace(Named(name="a"), name="b") == Named(name="b")
    assert pickle.loads(pickle.dumps(one)) == one
    assert msgspec.json.decode(msgspec.json.encode(one), type=Parcel) == one
    assert TypeAdapter(Named).validate_python({"name": "a"}) == Named(name="a")
    assert list(inspect.signature(Parcel).parameters) == ["name", "weight", "marks", "note", "shown"]


def test_what_is_done_after_init_is_done_and_what_a_class_remembers_is_no_field() -> None:
    @frozen
    class Positive:
        number: int

        def __post_init__(self) -> None:
            if self.number <= 0:
                raise ValueError("above zero")

    with pytest.raises(ValueError, match="above zero"):
        Positive(number=0)
    assert Positive(number=1) == Positive(number=1)


@frozen
class Empty:
    pass


def test_without_fields_all_are_equal() -> None:
    assert Empty() == Empty()
    assert len({Empty(), Empty()}) == 1


def test_a_light_value_is_stored_and_read_as_a_frozen_one_and_stays_as_it_is() -> None:
    class Quick(Light, frozen=True, kw_only=True):
        name: str
        value: Any = None

    @frozen
    class Slow:
        name: str
        value: Any = None

    assert (
        encode(Quick(name="role", value=[1])) == encode(Slow(name="role", value=[1])) == b'{"name":"role","value":[1]}'
    )
    assert msgspec.json.decode(b'{"name":"role","later":1}', type=Quick) == Quick(name="role")
    field = "name"
    with pytest.raises(AttributeError):
        setattr(Quick(name="role"), field, "place")
