"""Runs every module of this folder that has `run() -> Iterable[dict]`, or those named: one JSON object a line.

Each object holds name, value, unit, against, ratio, target and holds. Ends with 1 when a target is missed.
"""

import importlib
import json
import pkgutil
import sys

import benchmarks


def main(wanted: list[str]) -> int:
    missed = False
    for name in sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__)):
        if name.startswith("_") or (wanted and name not in wanted):
            continue
        run = getattr(importlib.import_module(f"benchmarks.{name}"), "run", None)
        for result in run() if run else ():
            print(json.dumps(result, ensure_ascii=False), flush=True)
            missed = missed or result.get("holds") is False
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
