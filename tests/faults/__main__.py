"""Puts five processes on real engines through every fault and prints the table: `make test-faults`.

python -m tests.faults                      every fault, at full length
python -m tests.faults --short              every fault, each for seconds
python -m tests.faults --away 30            an engine that goes away is away for so many seconds
python -m tests.faults --only postgres      those with the word in their name
python -m tests.faults --profile compact    read models in PostgreSQL too
python -m tests.faults --logs FOLDER        keeps there what the services said
"""

import argparse
import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

from chassis import logs
from tests.engines import temporary_folder
from tests.engines.__main__ import missing
from tests.faults.five import cannot_mount
from tests.faults.striking import Pace
from tests.faults.table import FAULTS, FULL, FULL_VOLUME, HEADING, PROFILES, SHORT, Fault, Row, put_through


def main(arguments: list[str]) -> int:
    """Exit status 0 when nothing was lost and nothing was done twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="seconds instead of a minute away")
    parser.add_argument("--away", type=float, help="seconds that an engine is away, instead of either")
    parser.add_argument(
        "--only", action="append", help="faults with this in their name, whatever its case; may be repeated"
    )
    parser.add_argument("--profile", choices=PROFILES, default="full", help="where read models are (default: MongoDB)")
    parser.add_argument("--logs", type=Path, help="keep the services' logs here, however the run ends")
    given = parser.parse_args(arguments)
    if reasons := missing(given.profile):
        print("\n".join(reasons), file=sys.stderr)
        return 1
    words = [word.lower() for word in given.only or [""]]
    wanted = [
        one for one in FAULTS if given.profile in one.profiles and any(word in one.name.lower() for word in words)
    ]
    if FULL_VOLUME in wanted and (reason := cannot_mount()):
        print(f"left out: {FULL_VOLUME.name}: {reason}", file=sys.stderr)
        wanted.remove(FULL_VOLUME)
    logs.configure(level="ERROR")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the engines end too
    print(HEADING, flush=True)
    rows = _put_through(wanted, _pace(short=given.short, away_seconds=given.away), given.profile, given.logs)
    told = sum(row.acknowledged for row in rows)
    held = "logs, decisions, read models and ledger hold" if all(row.holds for row in rows) else "NOT ALL HOLDS"
    print(f"\n{len(rows)} faults, {told} commands acknowledged; {held}")
    return int(not all(row.holds for row in rows))


def _pace(*, short: bool, away_seconds: float | None) -> Pace:
    pace = SHORT if short else FULL
    return pace if away_seconds is None else replace(pace, away_seconds=away_seconds)


def _put_through(faults: list[Fault], pace: Pace, profile: str, logs_in: Path | None) -> list[Row]:
    with temporary_folder("entente-faults-") as folder:
        return asyncio.run(put_through(folder, faults, pace, _tell, profile, logs_in))


def _tell(row: Row) -> None:
    print(row.line(), flush=True)
    for one in row.named:
        print(f"{row.fault}: {one}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
