"""The arrows hold: import-linter finds nothing in the tree, and finds what is planted in a copy of it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, copy_of, plant, skeleton

LINT = Path(sys.executable).with_name("lint-imports")
DOMAIN = "services/registration/domain/planted.py"

PLANTS: list[tuple[str, dict[str, str], str]] = [
    (
        "never-back",
        {"chassis/planted.py": "import contracts.planted\n", "contracts/planted.py": ""},
        "chassis.planted -> contracts.planted",
    ),
    ("never-back", {"contracts/planted.py": "import services.gateway\n"}, "contracts.planted -> services.gateway"),
    (
        "contracts-know-events-only",
        {"contracts/planted.py": "import chassis.planted\n", "chassis/planted.py": ""},
        "contracts.planted -> chassis.planted",
    ),
    (
        "never-sideways",
        {DOMAIN: "import services.gateway\n"},
        "services.registration.domain.planted -> services.gateway",
    ),
    (
        "never-sideways",
        {"services/registration/app.py": "import services.__main__\n", "services/__main__.py": ""},
        "services.registration.app -> services.__main__",
    ),
    (
        "rooms",
        {DOMAIN: "import services.registration.app\n", "services/registration/app.py": ""},
        "services.registration.domain.planted -> services.registration.app",
    ),
    ("rooms", {"services/registration/helpers.py": ""}, "helpers"),
    (
        "pure-domain-chassis",
        {DOMAIN: "import chassis.planted\n", "chassis/planted.py": ""},
        "services.registration.domain.planted -> chassis.planted",
    ),
    ("pure-domain-world", {DOMAIN: "import pydantic\n"}, "services.registration.domain.planted -> pydantic"),
    ("no-tests", {"chassis/planted.py": "import tests\n"}, "chassis.planted -> tests"),
]


def lint(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(LINT), "--no-logo", "--no-cache", *arguments]
    return subprocess.run(command, check=False, cwd=tree, capture_output=True, text=True, timeout=300)


def test_the_tree_keeps_every_arrow() -> None:
    linted = lint(ROOT)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(("contract", "files", "arrow"), PLANTS)
def test_a_planted_import_is_caught(contract: str, files: dict[str, str], arrow: str, tmp_path: Path) -> None:
    copy = copy_of(ROOT, skeleton(tmp_path / "copy"), "pyproject.toml")
    plant(copy, files)
    linted = lint(copy, "--contract", contract)
    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert arrow in linted.stdout


def test_every_contract_has_a_planted_import() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {contract["id"] for contract in project["tool"]["importlinter"]["contracts"]}
    assert {contract for contract, *_ in PLANTS} == contracts
