"""What a service that starts leaves out of its frameworks, and that it is there for whoever needs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from contracts.catalogue import SERVICES

ROOT = Path(__file__).parents[2]
LEFT_OUT = "rich", "pygments", "pydantic.v1"


def _said(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_without_what_its_frameworks_bring_for_others(service: str) -> None:
    there = f"[name for name in {LEFT_OUT} if sys.modules.get(name)]"
    assert _said(f"import sys, services.{service}.__main__; print({there})") == "[]\n"


def test_what_was_left_out_at_the_start_can_be_imported_later() -> None:
    assert _said("import chassis.cli, rich.console; print(rich.console.Console.__name__)") == "Console\n"


def test_models_declared_after_the_start_are_compiled_at_once() -> None:
    code = "import chassis.cli, pydantic; print(pydantic.create_model('One', at=int).__pydantic_complete__)"
    assert _said(code) == "True\n"
