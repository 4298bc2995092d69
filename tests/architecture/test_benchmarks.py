"""Every benchmark tells its figures in one form, can be run alone, and says why it is skipped."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks import http_engines, rebuild, store, transport
from benchmarks._figures import FIELDS, Figure, at_least, at_most, beside, skipped

ROOT = Path(__file__).parents[2]


def test_a_figure_beside_a_peer_is_judged_by_its_ratio() -> None:
    assert beside("store.create.1", 1_500.4, "commands/s", ("bare SQLite", 3_000.0), 0.4) == {
        "name": "store.create.1",
        "value": 1_500,
        "unit": "commands/s",
        "against": {"name": "bare SQLite", "value": 3_000},
        "ratio": 0.5,
        "target": "ratio >= 0.4",
        "holds": True,
    }
    assert beside("x", 1.0, "1/s", ("bare", 4.0), 0.4)["holds"] is False
    assert beside("x", 1.0, "1/s", ("bare", 4.0))["holds"] is None


def test_a_figure_with_a_limit_is_judged_by_it_whatever_its_peer_reaches() -> None:
    assert at_least("http", 799.0, "1/s", 800, ("livez", 2_000.0))["holds"] is False
    assert at_most("ready", 1.5, "s", 1.5) == {
        "name": "ready",
        "value": 1.5,
        "unit": "s",
        "against": {"name": "target", "value": 1.5},
        "ratio": 1.0,
        "target": "<= 1.5 s",
        "holds": True,
    }


def test_what_has_no_engine_is_skipped_with_its_reason() -> None:
    assert list(transport.run(lambda: "no Java here")) == [skipped("transport", "no Java here")]
    assert list(store.on_postgres(lambda: "no server here")) == [skipped("store.postgres", "no server here")]
    assert list(rebuild.on_postgres(lambda: "no server here")) == [skipped("rebuild.postgres", "no server here")]
    assert list(http_engines.run(lambda: "no Java here")) == [skipped("http.engines", "no Java here")]
    assert skipped("transport", "no Java here")["holds"] is None


@pytest.mark.parametrize(("value", "status"), [(1.0, 1), (3.0, 0)])
def test_a_missed_target_is_told_by_the_exit_status(
    capsys: pytest.CaptureFixture[str], value: float, status: int
) -> None:
    assert runner.main([], lambda _: [at_least("one", value, "1/s", 2), skipped("two", "away")]) == status
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [tuple(line)[:7] for line in lines] == [FIELDS, FIELDS]


def test_only_what_is_named_is_run() -> None:
    asked: list[list[str]] = []

    def note(wanted: Iterable[str]) -> list[Figure]:
        asked.append(list(wanted))
        return []

    assert (runner.main(["http"], note), runner.main([], note)) == (0, 0)
    assert asked == [
        ["http"],
        [
            "growth",
            "http",
            "http_engines",
            "incentives",
            "lookup",
            "rebuild",
            "shadow",
            "start",
            "store",
            "transport",
            "witness",
        ],
    ]


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "htp"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "there is no benchmark htp: "
        "choose of growth, http, http_engines, incentives, lookup, rebuild, shadow, start, store, transport, witness\n"
    )
