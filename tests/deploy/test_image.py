"""The image recipe, without Docker: what it copies is enough for one service, and it is locked down."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from contracts.catalogue import SERVICES
from tests.architecture.tree import ROOT

RECIPE = (ROOT / "Dockerfile").read_text()
COPIED = re.findall(r"^COPY (?!--from)(\S+) (/app/\S+)$", RECIPE, re.MULTILINE)
LEFT_OUT = re.findall(r"rm -rf /app/(\S+)", RECIPE)


def image_of(service: str, root: Path) -> Path:
    """The folder /app as the recipe makes it."""
    for source, target in COPIED:
        there = root / target.replace("${SERVICE}", service).strip("/")
        here = ROOT / source.replace("${SERVICE}", service)
        if here.is_dir():
            shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            there.mkdir(parents=True, exist_ok=True)
            shutil.copy(here, there)
    for path in LEFT_OUT:
        shutil.rmtree(root / "app" / path)
    return root / "app"


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_one_service_and_needs_no_other(service: str, tmp_path: Path) -> None:
    app = image_of(service, tmp_path)
    assert sorted(path.name for path in (app / "services").iterdir()) == ["__init__.py", service]
    check = [sys.executable, "-m", f"services.{service}", "--help"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(app), "PYTHONDONTWRITEBYTECODE": "1"}
    told = subprocess.run(check, cwd=app, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "serve" in told.stdout
    assert not list(app.rglob("__pycache__"))


def test_an_image_runs_as_nobody_in_particular_from_compiled_code() -> None:
    last = RECIPE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "compileall" in RECIPE
    assert "--require-hashes" in RECIPE
    assert "pip install" not in last


def test_compose_runs_all_five_on_loopback_as_images_do() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert set(SERVICES) < set(services)
    for name in SERVICES:
        assert services[name]["build"]["args"] == {"SERVICE": name}
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert [] == [port for port in ports if not port.startswith("127.0.0.1:")]
