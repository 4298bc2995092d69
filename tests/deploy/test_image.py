"""The image recipe, without Docker: what it copies is enough for one service, and it is locked down."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chassis.process import free_port
from contracts.catalogue import SERVICES
from services.gateway.app import Settings
from tests.architecture.tree import ROOT
from tests.patience import PATIENCE_SECONDS

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


def test_the_bill_of_materials_names_every_package_that_an_image_installs_and_by_which_sums(tmp_path: Path) -> None:
    to = tmp_path / "bill" / "sbom.json"
    subprocess.run(["make", "sbom", f"SBOM={to}"], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads(to.read_text())
    locked = (ROOT / "requirements/run.txt").read_text()
    installed = dict(re.findall(r"^([a-z0-9._-]+)(?:\[\S+\])?==(\S+)", locked, re.MULTILINE))
    assert bill["metadata"]["component"]["name"] == "entente"
    assert {one["name"]: one["version"] for one in bill["components"]} == installed
    for one in bill["components"]:
        sums = [each["content"] for where in one["externalReferences"] for each in where.get("hashes", ())]
        assert sums, one["name"]
        assert all(f"sha256:{each}" in locked for each in sums)


COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


def test_compose_runs_all_five_on_loopback_as_images_do() -> None:
    assert set(SERVICES) < set(COMPOSE)
    for name in SERVICES:
        assert COMPOSE[name]["build"]["args"] == {"SERVICE": name}
        assert COMPOSE[name]["read_only"] is True
        assert COMPOSE[name]["cap_drop"] == ["ALL"]
    ports = [port for service in COMPOSE.values() for port in service.get("ports", [])]
    assert [] == [port for port in ports if not port.startswith("127.0.0.1:")]


def test_in_compose_the_development_issuer_vouches_and_only_this_machine_reaches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in SERVICES:
        assert COMPOSE[name]["network_mode"] == "service:door"
        assert COMPOSE[name]["environment"]["ENTENTE_HOST"] == "127.0.0.1"
    for name, value in COMPOSE["gateway"]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = Settings.read()
    assert settings.vouches
    ports = {name: COMPOSE[name]["environment"]["ENTENTE_PORT"] for name in SERVICES}
    upstreams = {name: f"http://127.0.0.1:{port}" for name, port in ports.items() if name != "gateway"}
    assert settings.upstreams == upstreams
    ways = dict(way.split(":") for way in COMPOSE["door"]["entrypoint"][2:])
    published = [port.removeprefix("127.0.0.1:").split(":") for port in COMPOSE["door"]["ports"]]
    # What is linked to on a page has one number on both sides of the door.
    assert {outside: ways[door] for outside, door in published} == {"8080": ports["gateway"], "8090": "8090"}
    assert settings.crm_simulator_url == "http://127.0.0.1:8090"
    monkeypatch.setenv("ENTENTE_HOST", re.search(r"ENTENTE_HOST=(\S+)", RECIPE)[1])  # type: ignore[index]
    assert not Settings.read().vouches


def test_compose_leaves_no_engine_out_and_asks_none_for_what_nobody_set_up() -> None:
    for name in SERVICES:
        settings = COMPOSE[name]["environment"]
        assert {"ENTENTE_POSTGRES", "ENTENTE_READ_STORE", "ENTENTE_KAFKA"} < set(settings)
        assert "migrate &&" in COMPOSE[name]["entrypoint"][2]  # Kafka makes no topic by itself
    assert "command" not in COMPOSE["mongo"]  # a replica set would wait for somebody to begin it


def test_compose_and_a_developer_s_cluster_run_the_versions_that_the_tests_run_against() -> None:
    kafka = re.search(r"<kafka.version>(.*)</kafka.version>", (ROOT / "tests/engines/kafka.pom.xml").read_text())
    assert kafka is not None
    cluster = (ROOT / "deploy/k8s/overlays/dev/engines.yaml").read_text()
    told = (ROOT / "docs/engines.md").read_text()
    assert COMPOSE["kafka"]["image"] == f"apache/kafka:{kafka[1]}"
    assert re.findall(r"image: (apache/kafka:.*|postgres:.*)", cluster) == [
        COMPOSE["postgres"]["image"],
        COMPOSE["kafka"]["image"],
    ]
    assert f"| Apache Kafka, KRaft | {kafka[1]} |" in told
    assert f"| PostgreSQL | {COMPOSE['postgres']['image'].partition(':')[2]} |" in told


async def test_the_door_passes_on_to_loopback_both_ways_and_to_the_end() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await writer.drain()
        writer.close()

    inside = await asyncio.start_server(shout, "127.0.0.1", 0)
    outside = free_port()
    way = f"{outside}:{inside.sockets[0].getsockname()[1]}"
    door = await asyncio.create_subprocess_exec(sys.executable, ROOT / "deploy/compose/door.py", way)
    try:
        async with inside, asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", outside)
                    break
                except OSError:
                    assert door.returncode is None
                    await asyncio.sleep(0.02)
            writer.write(b"x" * 1_000_000)
            writer.write_eof()
            assert await reader.read() == b"X" * 1_000_000
            writer.close()
    finally:
        door.terminate()
        assert await door.wait() == 0
