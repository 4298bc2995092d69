"""Runs every module of this folder that has `run() -> Iterable[Figure]`, or those named: one JSON object a line.

Each object has the fields of `benchmarks._figures`. Ends with 1 when a target is missed, with 2 for an unknown name.
"""

import importlib
import json
import pkgutil
import sys
from collections.abc import Callable, Iterable

import benchmarks
from benchmarks._figures import Figure
from chassis import logs


def names() -> list[str]:
    """What can be run."""
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def figures(wanted: Iterable[str]) -> Iterable[Figure]:
    """The figures of the modules, as they are measured."""
    for name in wanted:
        yield from importlib.import_module(f"benchmarks.{name}").run()


def main(wanted: list[str], measure: Callable[[Iterable[str]], Iterable[Figure]] = figures) -> int:
    if unknown := sorted(set(wanted) - set(names())):
        print(f"there is no benchmark {', '.join(unknown)}: choose of {', '.join(names())}", file=sys.stderr)
        return 2
    logs.configure(level="WARNING")
    missed = False
    for figure in measure(wanted or names()):
        print(json.dumps(figure, ensure_ascii=False), flush=True)
        missed = missed or figure["holds"] is False
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
