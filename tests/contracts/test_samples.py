"""What was ever stored loads for ever, and what was ever published is published in the same bytes for ever."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chassis.event import TYPES, decode, encode, plain
from contracts import samples
from contracts.samples import FOLDER, TYPE_LIST, as_stored, published, stored_types

ROOT = Path(__file__).parents[2]
SAMPLES = sorted(FOLDER.glob("*.json"))
PAIRS = sorted(FOLDER.glob("pairs/*/*.json"))
LISTED = (FOLDER / TYPE_LIST).read_text().split()


class Stored(msgspec.Struct):
    type: str
    data: msgspec.Raw


@pytest.fixture(scope="module", autouse=True)
def _loaded_types() -> None:
    stored_types()


def holds(whole: Any, part: Any) -> bool:
    """Whether `part` stands in `whole`, which may have more fields."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and holds(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_loads_and_comes_back(path: Path) -> None:
    stored = as_stored(path.read_bytes())
    value = decode(path.stem, stored)
    assert value == decode(path.stem, encode(value))
    if path.stem not in TYPES._upcasts:
        assert holds(json.loads(encode(value)), json.loads(stored)), "a stored field is lost"


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recorded_event_gives_the_same_public_bytes_for_ever(path: Path) -> None:
    pair = msgspec.json.decode(as_stored(path.read_bytes()), type=dict[str, Stored])
    told = published(path.parent.name, pair["recorded"].type, bytes(pair["recorded"].data))
    assert told is not None
    assert pair["public"].type == told.type
    assert bytes(pair["public"].data) == encode(told)


def test_every_stored_type_is_listed_and_has_a_sample() -> None:
    names = set(stored_types())
    assert set() == names - set(LISTED), "run `make samples`"
    assert set() == names - {path.stem for path in SAMPLES}, "run `make samples`"


def test_no_type_that_was_ever_listed_is_forgotten() -> None:
    assert [] == [name for name in LISTED if name not in stored_types()]
    assert sorted(LISTED) == LISTED


def test_every_published_event_has_its_pairs() -> None:
    assert {str(path.relative_to(FOLDER)) for path in PAIRS} >= {pair.file for pair in samples.pairs()}


def test_the_same_class_gives_the_same_sample_each_time() -> None:
    assert {name: samples.sample(name) for name in stored_types()} == {
        name: samples.sample(name) for name in stored_types()
    }


def test_a_sample_that_stands_is_never_written_again(tmp_path: Path) -> None:
    samples.write(tmp_path)
    kept = tmp_path / "registration.DealWithdrawn.v1.json"
    kept.write_text("{}")
    assert [] == samples.write(tmp_path)
    assert "{}" == kept.read_text()


def test_the_list_of_types_only_grows(tmp_path: Path) -> None:
    (tmp_path / TYPE_LIST).write_text("registration.LongGone.v1\n")
    samples.write(tmp_path)
    assert "registration.LongGone.v1" in (tmp_path / TYPE_LIST).read_text().split()


def test_type_names_say_service_name_and_version() -> None:
    owner = "attribution|chassis|gateway|incentives|onboarding|registration|rules|attention"
    shape = re.compile(rf"(entente\.)?({owner})\.[A-Z]\w+\.v[1-9]")
    assert [] == [name for name in LISTED if not shape.fullmatch(name)]


def test_every_type_that_the_chassis_stores_is_found() -> None:
    makes_types = re.compile(r"^@(event|command|public_event)\(", re.MULTILINE)
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "chassis").rglob("*.py")
        if "testing" not in path.parts and makes_types.search(path.read_text())
    }
    assert found == set(samples.STORED_BY_THE_CHASSIS)


def test_a_class_that_lost_a_field_is_caught() -> None:
    value = decode("chassis.RulesEnded.v1", samples.sample("chassis.RulesEnded.v1"))
    assert not holds(plain(value), plain(value) | {"gone": 1})
