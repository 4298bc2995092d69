"""Puts five processes on real engines through every fault and prints the table: `make test-faults`.

python -m tests.faults                      every fault, at full length
python -m tests.faults --short              every fault, each for seconds
python -m tests.faults --only postgres      those with the word in their name
"""

import argparse
import asyncio
import signal
import sys

from chassis import logs
from tests.engines import temporary_folder
from tests.faults.five import cannot_mount, missing
from tests.faults.table import FAULTS, FULL, FULL_VOLUME, HEADING, SHORT, Fault, Pace, Row, put_through


def main(arguments: list[str]) -> int:
    """Exit status 0 when nothing was lost and nothing was done twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="seconds instead of a minute away")
    parser.add_argument("--only", default="", help="faults with this in their name, whatever its case")
    given = parser.parse_args(arguments)
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    wanted = [fault for fault in FAULTS if given.only.lower() in fault.name.lower()]
    if FULL_VOLUME in wanted and (reason := cannot_mount()):
        print(f"left out: {FULL_VOLUME.name}: {reason}", file=sys.stderr)
        wanted.remove(FULL_VOLUME)
    logs.configure(level="ERROR")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the engines end too
    print(HEADING, flush=True)
    rows = _put_through(wanted, SHORT if given.short else FULL)
    told = sum(row.acknowledged for row in rows)
    print(f"\n{len(rows)} faults, {told} commands acknowledged; logs, decisions, read models and ledger hold")
    return int(any(row.lost or row.twice for row in rows))


def _put_through(faults: list[Fault], pace: Pace) -> list[Row]:
    with temporary_folder("entente-faults-") as folder:
        return asyncio.run(put_through(folder, faults, pace, lambda row: print(row.line(), flush=True)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
