"""Every rule holds for the tree, and every rule sees a violation planted in a copy of its outline."""

from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.rules import RULES, Rule
from tests.architecture.tree import CODE, ROOT, copy_of, modules, plant, skeleton

PLANTS: list[tuple[Rule, str, str, str]] = [
    (rules.only_known_folders, "utils/anything.py", "", "utils: not in the layout"),
    (rules.only_known_folders, "tests/other/test_it.py", "", "tests/other: not in the layout"),
    (rules.only_known_services, "services/billing/__init__.py", "", "services/billing: not a service"),
    (rules.only_known_services, "services/shared.py", "", "services/shared.py: not a service"),
    (rules.only_known_rooms, "services/gateway/helpers.py", "", "services/gateway/helpers.py: not a room"),
    (rules.only_known_rooms, "services/incentives/models/plan.py", "", "services/incentives/models: not a room"),
    (
        rules.services_introduce_themselves,
        "services/gateway/__init__.py",
        '"""Owns the door. Publishes nothing."""',
        "services/gateway/__init__.py: does not say what it listens",
    ),
    (
        rules.services_introduce_themselves,
        "services/gateway/__init__.py",
        '"""Owns, publishes, listens."""\nimport os\n',
        "services/gateway/__init__.py: holds more than a docstring",
    ),
    (
        rules.domains_are_pure,
        "services/registration/domain/planted.py",
        "import rapidfuzz\n",
        "services/registration/domain/planted.py:1: a domain may not import a foreign rapidfuzz",
    ),
    (
        rules.domains_are_pure,
        "services/registration/domain/planted.py",
        "import time\n",
        "services/registration/domain/planted.py:1: a domain may not import the standard library's time",
    ),
    (
        rules.domains_are_pure,
        "services/registration/domain/planted.py",
        "from ..app import build\n",
        "services/registration/domain/planted.py:1: a domain may not import a foreign services.registration.app.build",
    ),
    (
        rules.domains_are_pure,
        "services/registration/domain/planted.py",
        "from chassis import store\n",
        "services/registration/domain/planted.py:1: a domain may not import a foreign chassis.store",
    ),
    (
        rules.domains_are_pure,
        "services/registration/domain/planted.py",
        "from datetime import datetime\n\nSTARTED = datetime.now()\n",
        "services/registration/domain/planted.py:3: a domain may not call datetime.now",
    ),
    (
        rules.domains_are_pure,
        "services/registration/domain/planted.py",
        "async def decide():\n    return []\n",
        "services/registration/domain/planted.py:1: a domain is not async",
    ),
    (
        rules.functions_are_short,
        "chassis/planted.py",
        "def long():\n" + "    value = 1\n" * 40,
        "chassis/planted.py:1: long has 41 lines",
    ),
    (
        rules.templates_have_lines_to_read,
        "services/gateway/api/portal/templates/planted.html",
        "<p>short</p>\n" + "<p>long</p>" * 20,
        "services/gateway/api/portal/templates/planted.html:2: 220 columns",
    ),
    (
        rules.only_the_chassis_catches_everything,
        "services/gateway/app.py",
        "try:\n    pass\nexcept (KeyError, Exception):\n    pass\n",
        "services/gateway/app.py:3: catches everything",
    ),
    (
        rules.only_the_chassis_catches_everything,
        "contracts/planted.py",
        "try:\n    pass\nexcept:\n    pass\n",
        "contracts/planted.py:3: catches everything",
    ),
    (
        rules.nobody_reads_the_environment,
        "chassis/planted.py",
        "import os\n\nHOME = os.environ['HOME']\n",
        "chassis/planted.py:3: reads the environment",
    ),
    (
        rules.nobody_reads_the_environment,
        "services/gateway/planted.py",
        "from os import getenv\n",
        "services/gateway/planted.py:1: reads the environment",
    ),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    assert rule(ROOT) == []


@pytest.mark.parametrize(("rule", "name", "source", "complaint"), PLANTS)
def test_a_planted_violation_is_caught(rule: Rule, name: str, source: str, complaint: str, tmp_path: Path) -> None:
    copy = skeleton(tmp_path / "copy")
    plant(copy, {name: source})
    assert complaint in rule(copy)


def test_a_missing_service_is_seen(tmp_path: Path) -> None:
    plant(tmp_path, {"services/__main__.py": ""})
    assert "services/gateway: missing" in rules.only_known_services(tmp_path)


def test_long_functions_lift_the_median(tmp_path: Path) -> None:
    copy = copy_of(ROOT, tmp_path / "copy", *CODE)
    known = sum(1 for module in modules(copy, "contracts") for _ in module.functions())
    nine_lines = "def one():\n" + "    value = 1\n" * 8
    plant(copy, {"contracts/planted.py": nine_lines * (known + 1)})
    assert "contracts: the median function has 9 lines" in rules.functions_are_mostly_leaves(copy)


def test_a_docstring_does_not_make_a_function_long(tmp_path: Path) -> None:
    copy = skeleton(tmp_path / "copy")
    docstring = '    """Says\n' + "    much.\n" * 40 + '    """\n'
    plant(copy, {"chassis/planted.py": "def said():\n" + docstring + "    value = 1\n" * 39})
    assert rules.functions_are_short(copy) == []


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, *_ in PLANTS} | {rules.functions_are_mostly_leaves} == set(RULES)
