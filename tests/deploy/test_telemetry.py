"""Alert rules and the dashboard ask for figures that there are, by labels that they have, about events that there are."""

import importlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from chassis.event import TYPES
from chassis.telemetry import Telemetry
from contracts.catalogue import SERVICES
from tests.architecture.test_documents import anchors
from tests.architecture.tree import ROOT

FOLDER, HERE = ROOT / "deploy/telemetry", ROOT / "tests/deploy"
FIGURE = re.compile(r"\b(entente_[a-z_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*=~?\s*\"([^\"]*)\"")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
OF_PROMETHEUS = {"le"}
ANY: set[str] = set()


def figures() -> dict[str, set[str]]:
    """The labels of every series that a service offers."""
    found: dict[str, set[str]] = {}
    for collector in Telemetry("any").registry._collector_to_names.items():
        labels = set(collector[0]._labelnames)
        found |= dict.fromkeys(collector[1], labels)
    return found


def alerts() -> list[dict[str, object]]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, object]]:
    return list(json.loads((FOLDER / "dashboard.json").read_text())["panels"])


def complaints(expression: str) -> Iterator[str]:
    """What an expression asks for that there is not."""
    known = figures()
    asked = FIGURE.findall(expression)
    yield from (f"there is no figure {name}" for name, _ in asked if name not in known)
    for name, chosen in asked:
        yield from wrong_choices(name, known.get(name, ANY), LABEL.findall(chosen))
    there = OF_PROMETHEUS.union(*(known.get(name, ANY) for name, _ in asked))
    grouped = {label.strip() for labels in GROUPED.findall(expression) for label in labels.split(",")}
    yield from (f"nothing has a label {label}" for label in sorted(grouped - there))


def wrong_choices(name: str, labels: set[str], chosen: list[tuple[str, str]]) -> Iterator[str]:
    for label, value in chosen:
        if label not in labels:
            yield f"{name} has no label {label}"
        if label == "type" and value not in TYPES.classes:
            yield f"there is no event {value}"


@pytest.fixture(autouse=True, scope="module")
def every_event_is_known() -> None:
    for service in SERVICES:
        importlib.import_module(f"services.{service}.app")


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is_and_says_what_to_do(rule: dict[str, object]) -> None:
    assert [] == list(complaints(rule["expr"]))
    page, _, heading = rule["annotations"]["runbook"].partition("#")
    assert heading in anchors(ROOT / page)
    assert rule["labels"]["severity"] in ("critical", "warning")


def test_every_panel_asks_for_what_there_is() -> None:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    assert len(asked) >= 13
    assert [] == [said for expression in asked for said in complaints(expression)]


def test_every_figure_is_shown() -> None:
    shown = {name for panel in panels() for target in panel["targets"] for name, _ in FIGURE.findall(target["expr"])}
    families = {metric.name for metric in Telemetry("any").registry.collect()}
    assert [] == sorted(family for family in families if not any(name.startswith(family) for name in shown))


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("sum(entente_payouts_total)", "there is no figure entente_payouts_total"),
        ('rate(entente_commands_total{partner="p"}[5m])', "entente_commands_total has no label partner"),
        ('entente_events_total{type="incentives.Paid.v1"}', "there is no event incentives.Paid.v1"),
        ("max by (tenant) (entente_parked_messages)", "nothing has a label tenant"),
    ],
)
def test_what_there_is_not_is_seen(expression: str, said: str) -> None:
    assert [said] == list(complaints(expression))


# The alert rules, by Prometheus' own judge


def judged(promtool: str, *words: str, at: Path = HERE) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([promtool, *words], cwd=at, capture_output=True, text=True, check=False, timeout=120)


def test_prometheus_reads_the_rules(promtool: str) -> None:
    told = judged(promtool, "check", "rules", str(FOLDER / "alerts.yaml"))
    assert told.returncode == 0, told.stderr
    assert f"{len(alerts())} rules found" in told.stdout


def test_the_rules_say_of_written_series_what_they_should(promtool: str) -> None:
    told = judged(promtool, "test", "rules", "alerts.yaml")
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(entente_relay_age_seconds) > 60", "(entente_relay_age_seconds) > 600"),
        ("min by (service) (entente_relay", "max by (service) (entente_relay"),
        ("> 0.01", "> 0.1"),
        ("for: 2m", "for: 0m"),
    ],
)
def test_a_rule_that_says_something_else_is_seen(promtool: str, right: str, wrong: str, tmp_path: Path) -> None:
    rules, cases = (FOLDER / "alerts.yaml").read_text(), (HERE / "alerts.yaml").read_text()
    assert right in rules
    (tmp_path / "rules.yaml").write_text(rules.replace(right, wrong, 1))
    (tmp_path / "cases.yaml").write_text(cases.replace("../../deploy/telemetry/alerts.yaml", "rules.yaml"))
    assert judged(promtool, "test", "rules", "cases.yaml", at=tmp_path).returncode == 1
