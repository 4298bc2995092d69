"""The source tree as the architecture tests read it: its modules, what they import and how long their functions are."""

import ast
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("chassis", "contracts", "services")
SERVICES = ("attribution", "gateway", "incentives", "onboarding", "registration")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Module:
    """One source file, parsed; `where` is its path below the root of the tree."""

    where: Path
    tree: ast.Module

    @property
    def name(self) -> str:
        """The dotted name that others import it by."""
        parts = self.where.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and absolute name of all that is imported; `from a import b` counts as `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            if isinstance(node, ast.ImportFrom):
                source = resolve_name("." * node.level + (node.module or ""), self._package())
                yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)

    def functions(self) -> Iterator[Function]:
        """Every function with a body of its own; protocols and overloads only announce one."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function) and not _announces(node):
                yield node

    def _package(self) -> str:
        return self.name if self.where.name == "__init__.py" else self.name.rpartition(".")[0]


def modules(root: Path, *folders: str) -> Iterator[Module]:
    """All modules below these folders of a tree, in order of their paths."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            yield Module(where=path.relative_to(root), tree=ast.parse(path.read_text(encoding="utf-8")))


def length_in_lines(function: Function) -> int:
    """From `def` to its last line; decorators and the docstring do not count."""
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1 - _docstring_lines(function)


def copy_of(root: Path, target: Path, *names: str) -> Path:
    """A copy of these files and folders of a tree, without what Python leaves in them."""
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (root / name).is_dir():
            shutil.copytree(root / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    return target


def skeleton(target: Path) -> Path:
    """A copy of the tree's outline, the `__init__.py` of every package: a rule sees in it what is planted."""
    packages = (str(path.relative_to(ROOT)) for folder in CODE for path in (ROOT / folder).rglob("__init__.py"))
    return copy_of(ROOT, target, *packages, "tests/architecture", ".gitignore")


def plant(root: Path, files: dict[str, str]) -> None:
    """Write these files into a tree, over what stands there."""
    for name, source in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source, encoding="utf-8")


def _docstring(function: Function) -> ast.Expr | None:
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first
    return None


def _docstring_lines(function: Function) -> int:
    docstring = _docstring(function)
    if docstring is None or docstring.end_lineno is None:
        return 0
    return docstring.end_lineno - docstring.lineno + 1


def _announces(function: Function) -> bool:
    body = function.body[1:] if _docstring(function) else function.body
    return all(isinstance(node, ast.Expr) and ast.unparse(node) == "..." for node in body)
