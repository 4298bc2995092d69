"""Starts the engines on loopback and tells how to reach them: `make engines`; or runs a command on them.

    python -m tests.engines                                 until Ctrl+C, in a temporary folder
    python -m tests.engines --data /var/tmp/mine            … and keeps what is in them
    python -m tests.engines --profile compact -- COMMAND    COMMAND finds them in its environment; they end with it

The compact profile has PostgreSQL for events and read models, and no MongoDB.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.engines import kafka, mongo, postgres, temporary_folder

PROFILES = ("full", "compact")
STOPS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """SIGTERM or SIGINT came."""


def _stop(*_: object) -> None:
    # Make and a supervisor both pass it on: the second one must not cut off the orderly end that the first began.
    for number in STOPS:
        signal.signal(number, _heard_already)
    raise Stopped


def _heard_already(*_: object) -> None:
    """Children do not inherit a function, as they would SIG_IGN."""


def missing(profile: str) -> list[str]:
    """Why the profile cannot run here, engine by engine."""
    engines = (kafka, postgres, mongo) if profile == "full" else (kafka, postgres)
    return [reason for engine in engines if (reason := engine.missing())]


@contextmanager
def engines(folder: Path, profile: str) -> Iterator[dict[str, str]]:
    """The engines of a profile at work: the settings that name them. They end in the reverse order."""
    with ExitStack() as stack:
        dsn = stack.enter_context(postgres.serving(folder / "postgres"))
        url = stack.enter_context(mongo.serving(_made(folder / "mongo"))) if profile == "full" else dsn
        bootstrap = stack.enter_context(kafka.serving(_made(folder / "kafka")))
        yield {"ENTENTE_KAFKA": bootstrap, "ENTENTE_POSTGRES": dsn, "ENTENTE_READ_STORE": url}


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(arguments: list[str]) -> int:
    """Runs until it is told to stop, or until the command has ended: its exit status."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="python -m tests.engines", description=__doc__)
    parser.add_argument("--data", type=Path, help="keep the engines' files here")
    parser.add_argument("--profile", choices=PROFILES, default="full")
    given = parser.parse_args(arguments[:split])
    if reasons := missing(given.profile):
        print("\n".join(reasons), file=sys.stderr)
        return 1
    for number in STOPS:
        signal.signal(number, _stop)
    try:
        with ExitStack() as stack:
            folder = given.data or stack.enter_context(temporary_folder("entente-engines-"))
            settings = stack.enter_context(engines(folder, given.profile))
            return _run(arguments[split + 1 :], settings) if arguments[split + 1 :] else _tell(settings)
    except Stopped:
        return 0


def _tell(settings: dict[str, str]) -> int:
    for name, value in settings.items():
        print(f"export {name}={shlex.quote(value)}")
    print("# at work; stop with Ctrl+C", flush=True)
    signal.pause()
    return 0


def _run(command: list[str], settings: dict[str, str]) -> int:
    # A session of its own: what the terminal's Ctrl+C ends is told so once, by us, and in order.
    process = subprocess.Popen(command, env={**os.environ, **settings}, start_new_session=True)
    try:
        return process.wait()
    except Stopped:
        process.terminate()
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
