"""promtool, which judges Prometheus' rules offline: from the path, or as tests/engines/install took it out of its package."""

import shutil

from tests.engines import FOLDER, INSTALL


def path() -> str | None:
    """Where it is, None for nowhere."""
    taken = FOLDER / "bin/promtool"
    return shutil.which("promtool") or (str(taken) if taken.exists() else None)


def missing() -> str | None:
    """Why no rule can be judged here, or None."""
    return None if path() else f"promtool is not installed: {INSTALL}"
