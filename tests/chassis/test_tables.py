"""Lists to take away: no cell of a table is a formula, whoever wrote it."""

import csv
import io

import pytest

from chassis.tables import neutral, table


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("+49 30 1", "'+49 30 1"),
        ("-5.00", "-5.00"),
        ("-5+1", "'-5+1"),
        ("\t=1", "'\t=1"),
        ("plain", "plain"),
        ("a=b", "a=b"),
        (None, ""),
        (-5, "-5"),
    ],
)
def test_what_looks_like_a_formula_is_text_and_a_number_stays_one(cell: object, written: str) -> None:
    assert written == neutral(cell)


@pytest.mark.parametrize("wide", ["\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)"])
def test_wide_signs_begin_a_formula_too(wide: str) -> None:
    assert f"'{wide}" == neutral(wide)


def test_a_table_has_no_formula_in_its_heads_either() -> None:
    written = table("a list", ("=1+1", "amount"), [("\uff1dcmd", "-5.00")]).body
    assert [["'=1+1", "amount"], ["'\uff1dcmd", "-5.00"]] == list(csv.reader(io.StringIO(bytes(written).decode())))
