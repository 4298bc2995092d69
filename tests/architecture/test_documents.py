"""What the documents say is so: links lead somewhere, tables are those of the code, every refusal is explained."""

import importlib
import re
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

from chassis.projection import Projection, is_public
from chassis.settings import ServiceSettings
from contracts.catalogue import SERVICES, public_events
from contracts.samples import pairs
from tests.architecture.tree import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(ROOT.glob("docs/**/*.md"))]
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PLACED = re.compile(r"\]\(([^)#\s]*\.py)\)\s+`(\w+)`")
"""A file, and right behind it what the reader will find there."""
NAMED = re.compile(r"`([A-Z]\w+)`")
SLUG = re.compile(r'^    slug = "([a-z0-9-]+)"', re.MULTILINE)
SETTING = re.compile(r"^\| `(ENTENTE_\w+)` \| ([^|]*) \|", re.MULTILINE)
SUMMARIES = {"problem", "refused"}
"""Slugs of the classes above all others: nobody ever sees them."""


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(path: Path) -> set[str]:
    """The anchors that a page's headings make."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(path.read_text()))
    return {text.strip().replace(" ", "-") for text in words}


def dead_links(path: Path) -> Iterator[str]:
    for target, anchor in LINK.findall(path.read_text()):
        there = (path.parent / target).resolve() if target else path
        if not there.exists():
            yield target
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield f"{target}#{anchor}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=short)
def test_every_link_leads_somewhere(path: Path) -> None:
    assert [] == list(dead_links(path))


def test_a_dead_link_and_a_dead_anchor_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](gone.md) [b](page.md#one-thing) [c](#two) [d](https://example.com/x)\n")
    assert ["gone.md", "#two"] == list(dead_links(page))


def misplaced(path: Path) -> list[str]:
    """What the page says stands in a file, and does not."""
    places = PLACED.findall(path.read_text())
    return [
        f"{name} in {place}"
        for place, name in places
        if not re.search(rf"^(async def|def|class) {name}\b", (path.parent / place).read_text(), re.MULTILINE)
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=short)
def test_what_a_page_finds_in_a_file_is_there(path: Path) -> None:
    assert [] == misplaced(path)


def test_what_has_moved_away_is_seen(tmp_path: Path) -> None:
    (tmp_path / "here.py").write_text("def stays() -> None: ...\n")
    page = tmp_path / "page.md"
    page.write_text("[`here.py`](here.py) `stays`, [`here.py`](here.py)\n`gone`\n")
    assert ["gone in here.py"] == misplaced(page)


# What services publish and listen to


def published(service: str) -> set[str]:
    """The public events that a service makes of what it records, by name."""
    return {pair.public_type.split(".")[2] for pair in pairs() if pair.service == service}


def reacted(service: str) -> set[str]:
    """The public events that a service reacts to, by name."""
    reactions = importlib.import_module(f"services.{service}.reactions").REACTIONS
    return {cls.__name__ for cls in reactions}


def heard(service: str) -> set[str]:
    """The public events that a service reacts to or reads into a model, by name."""
    models = [one for module in modules(f"services.{service}.projections") for one in vars(module).values()]
    read = {cls.__name__ for one in models if isinstance(one, Projection) for cls in one.keys if is_public(cls)}
    return reacted(service) | read


def modules(package: str) -> Iterator[Any]:
    """The modules of a package."""
    for one in iter_modules(importlib.import_module(package).__path__):
        yield importlib.import_module(f"{package}.{one.name}")


def row(service: str) -> list[str]:
    """The cells of a service in the README's table."""
    found = re.search(rf"^\| \[{service}\].*\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert found, f"README.md: no row for {service}"
    return [cell.strip() for cell in found[0].strip("|").split("|")]


@pytest.mark.parametrize("service", SERVICES)
def test_the_readme_tells_what_a_service_publishes_and_listens_to(service: str) -> None:
    _, _, publishes, listens = row(service)
    assert published(service) == set(NAMED.findall(publishes))
    hears = reacted(service) if "every public event" in listens else heard(service)
    assert hears == set(NAMED.findall(listens))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_introduces_itself_with_what_it_publishes_and_listens_to(service: str) -> None:
    text = importlib.import_module(f"services.{service}").__doc__ or ""
    told = {cls.__name__ for cls in public_events()} & set(re.findall(r"[A-Z]\w+", text))
    hears = set() if "every public event" in text else heard(service)
    assert published(service) | hears == told


# Settings


def shown(value: Any) -> str:
    """A default as the table of settings writes it."""
    if value in (None, "", {}, ()):
        return "not set"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def settings_of(cls: type[ServiceSettings]) -> dict[str, str]:
    fields = {name: field.get_default(call_default_factory=True) for name, field in cls.model_fields.items()}
    return {f"ENTENTE_{name.upper()}": shown(default) for name, default in fields.items()}


def test_the_table_of_settings_is_that_of_the_code() -> None:
    classes = [importlib.import_module(f"services.{service}.app").Settings for service in SERVICES]
    wanted: dict[str, str] = {}
    for cls in (ServiceSettings, *classes):
        wanted |= settings_of(cls)
    assert wanted == dict(SETTING.findall((ROOT / "docs/operations.md").read_text()))


# Refusals


def slugs(folder: Path) -> set[str]:
    return {slug for path in folder.rglob("*.py") for slug in SLUG.findall(path.read_text())} - SUMMARIES


@pytest.mark.parametrize("service", SERVICES)
def test_every_refusal_of_a_service_is_explained_on_its_page(service: str) -> None:
    text = (ROOT / f"docs/{service}.md").read_text()
    assert [] == sorted(slug for slug in slugs(ROOT / "services" / service) if f"`{slug}`" not in text)


def test_every_refusal_that_all_services_share_is_explained() -> None:
    text = "".join((ROOT / page).read_text() for page in ("docs/gateway.md", "docs/operations.md"))
    assert [] == sorted(slug for slug in slugs(ROOT / "chassis") if f"`{slug}`" not in text)


# What we depend on

DEPENDENCIES = ROOT / "docs/adr/0022-what-we-depend-on.md"
PINNED = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[^\]]*\])?==", re.MULTILINE)
OF_NO_LIBRARY = re.compile(r"(?<!L)GPL|Affero|(?<!Lesser )General Public License")


def asked_for() -> set[str]:
    """The packages that requirements/*.in name."""
    lines = "".join((ROOT / "requirements" / name).read_text() for name in ("run.in", "dev.in")).splitlines()
    return {re.split(r"[\[=><]", line)[0] for line in lines if line and not line.startswith(("-", "#"))}


def test_every_package_that_we_ask_for_stands_with_what_it_saves() -> None:
    rows = set(re.findall(r"^\| ([a-z][a-z0-9-]*) \|", DEPENDENCIES.read_text(), re.MULTILINE)) - {"package"}
    assert asked_for() == rows


def licence(name: str) -> str:
    """All that a package's metadata says of its licence."""
    told = metadata(name)
    classes = [text for text in told.get_all("Classifier") or [] if text.startswith("License")]
    return " ".join([told.get("License-Expression") or "", (told.get("License") or "")[:200], *classes])


def test_nothing_that_is_locked_is_under_the_gpl() -> None:
    locked = PINNED.findall((ROOT / "requirements/dev.txt").read_text())
    assert len(locked) > 80
    assert [] == [name for name in locked if OF_NO_LIBRARY.search(licence(name))]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("GPL-3.0-only", True),
        ("AGPL-3.0", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("LGPL-3.0-only", False),
        ("License :: OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)", False),
    ],
)
def test_the_gpl_is_told_from_the_lgpl(text: str, refused: object) -> None:
    assert refused == bool(OF_NO_LIBRARY.search(text))
