"""The rules of the house that no linter knows, each a function from a source tree to the places that break it."""

import ast
import statistics
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from tests.architecture.tree import CODE, SERVICES, Module, length_in_lines, modules

Rule = Callable[[Path], list[str]]

FUNCTION_MAX_LINES = 40
FUNCTION_MEDIAN_LINES = 8
TEMPLATE_MAX_COLUMNS = 140

TOP = {
    ".ci", ".editorconfig", ".git", ".gitattributes", ".github", ".gitignore", ".dockerignore",
    "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE", "Makefile", "README.md", "SECURITY.md",
    "benchmarks", "chassis", "compose.yaml", "contracts", "deploy", "docs", "pyproject.toml", "requirements",
    "services", "tests",
}  # fmt: skip
TESTS = {"architecture", "browser", "chassis", "contracts", "deploy", "engines", "faults", "scenarios", *SERVICES}
ROOMS = {
    "__init__.py", "__main__.py", "access.py", "adapters", "api", "app.py", "application", "application.py", "domain",
    "projections", "publishing.py", "reactions.py",
}  # fmt: skip

# Values and pure functions: whatever reads a clock, a file, a socket, the environment or chance is not here.
PURE_STDLIB = {
    "__future__", "abc", "base64", "bisect", "calendar", "collections", "copy", "dataclasses", "datetime", "decimal", "difflib",
    "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac", "itertools", "json", "math", "operator",
    "re", "statistics", "string", "struct", "textwrap", "types", "typing", "unicodedata", "urllib.parse", "uuid", "zoneinfo",
}  # fmt: skip
PURE_CHASSIS = {"chassis.event", "chassis.decider", "chassis.rulebook", "chassis.case"}
IMPURE_CALLS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4",
    "open", "print", "input", "exec", "eval",
}  # fmt: skip


BESIDE = {"__init__.py", "__main__.py", "distributed.py", "first_run.py", "demo"}


def only_known_folders(root: Path) -> list[str]:
    """The top of the tree and the tests hold what the design lists and nothing else, apart from what git ignores."""
    ignored = [line.strip("/") for line in (root / ".gitignore").read_text().splitlines() if line[:1] != "#"]
    found = [path.name for path in root.iterdir() if not any(fnmatch(path.name, pattern) for pattern in ignored)]
    strange = sorted(set(found) - TOP)
    folders = {path.name for path in (root / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    return [f"{name}: not in the layout" for name in strange] + [
        f"tests/{name}: not in the layout" for name in sorted(folders - TESTS)
    ]


def only_known_services(root: Path) -> list[str]:
    """Beside the five services stand the whole system's start, first run and demo alone, and none of the five is missing."""
    found = _names(root / "services")
    wanted = set(SERVICES)
    strange = [f"services/{name}: not a service" for name in sorted(found - wanted - BESIDE)]
    return strange + [f"services/{name}: missing" for name in sorted(wanted - found)]


def only_known_rooms(root: Path) -> list[str]:
    """A service has no room that the design does not list."""
    return [
        f"services/{service}/{name}: not a room"
        for service in SERVICES
        for name in sorted(_names(root / "services" / service) - ROOMS)
    ]


def services_introduce_themselves(root: Path) -> list[str]:
    """A service's `__init__.py` is one docstring: what it owns, publishes and listens to."""
    return [complaint for service in SERVICES for complaint in _introduction(root, service)]


def domains_are_pure(root: Path) -> list[str]:
    """A domain imports values alone, and reads no clock, file, network or chance; nothing in it is async."""
    return [
        complaint
        for service in SERVICES
        for module in modules(root, f"services/{service}/domain")
        for complaint in (*_strange_imports(module, service), *_impurities(module))
    ]


def functions_are_short(root: Path) -> list[str]:
    return [
        f"{module.where}:{function.lineno}: {function.name} has {length_in_lines(function)} lines"
        for module in modules(root, *CODE)
        for function in module.functions()
        if length_in_lines(function) > FUNCTION_MAX_LINES
    ]


def functions_are_mostly_leaves(root: Path) -> list[str]:
    """The median function of each folder stays within a glance."""
    medians = {folder: _median_length(root, folder) for folder in CODE}
    return [
        f"{folder}: the median function has {median:g} lines"
        for folder, median in medians.items()
        if median > FUNCTION_MEDIAN_LINES
    ]


def templates_have_lines_to_read(root: Path) -> list[str]:
    """One element, branch or sentence a line, indented by what it stands in."""
    return [
        f"{path.relative_to(root)}:{number}: {len(line)} columns"
        for path in sorted((root / "services").rglob("*.html"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if len(line) > TEMPLATE_MAX_COLUMNS
    ]


def only_the_chassis_catches_everything(root: Path) -> list[str]:
    """Code outside the chassis catches what it can answer, by name."""
    return [
        f"{module.where}:{node.lineno}: catches everything"
        for module in modules(root, "contracts", "services")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node)
    ]


def nobody_reads_the_environment(root: Path) -> list[str]:
    """Settings read the environment through pydantic-settings, so no line of ours names it."""
    return [
        f"{module.where}:{node.lineno}: reads the environment"
        for module in modules(root, *CODE)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom | ast.Attribute) and _names_the_environment(node)
    ]


RULES: tuple[Rule, ...] = (
    only_known_folders,
    only_known_services,
    only_known_rooms,
    services_introduce_themselves,
    domains_are_pure,
    functions_are_short,
    functions_are_mostly_leaves,
    templates_have_lines_to_read,
    only_the_chassis_catches_everything,
    nobody_reads_the_environment,
)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != "__pycache__"} if folder.is_dir() else set()


def _introduction(root: Path, service: str) -> Iterator[str]:
    where = root / "services" / service / "__init__.py"
    tree = ast.parse(where.read_text(encoding="utf-8") if where.is_file() else "")
    docstring = (ast.get_docstring(tree) or "").lower()
    for word in ("owns", "publishes", "listens"):
        if word not in docstring:
            yield f"services/{service}/__init__.py: does not say what it {word}"
    if len(tree.body) > 1:
        yield f"services/{service}/__init__.py: holds more than a docstring"


def _strange_imports(module: Module, service: str) -> Iterator[str]:
    own = {"contracts", f"services.{service}.domain"} | PURE_CHASSIS | PURE_STDLIB
    for line, name in module.imports():
        if not any(name == known or name.startswith(f"{known}.") for known in own):
            kind = "the standard library's" if name.partition(".")[0] in sys.stdlib_module_names else "a foreign"
            yield f"{module.where}:{line}: a domain may not import {kind} {name}"


def _impurities(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"{module.where}:{node.lineno}: a domain is not async"
        if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPURE_CALLS:
            yield f"{module.where}:{node.lineno}: a domain may not call {ast.unparse(node.func)}"


def _median_length(root: Path, folder: str) -> float:
    lengths = [length_in_lines(function) for module in modules(root, folder) for function in module.functions()]
    return statistics.median(lengths)


def _catches_everything(node: ast.ExceptHandler) -> bool:
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(one is None or ast.unparse(one) in {"Exception", "BaseException"} for one in caught)


def _names_the_environment(node: ast.ImportFrom | ast.Attribute) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in {"environ", "environb", "getenv"} for alias in node.names)
    return ast.unparse(node) in {"os.environ", "os.environb", "os.getenv"}
