"""kustomize, which renders deploy/k8s: from the path, or as tests/engines/install built it."""

import shutil

from tests.engines import FOLDER, INSTALL


def path() -> str | None:
    """Where it is, None for nowhere."""
    built = FOLDER / "bin/kustomize"
    return shutil.which("kustomize") or (str(built) if built.exists() else None)


def missing() -> str | None:
    """Why nothing can be rendered here, or None."""
    return None if path() else f"kustomize is not installed: {INSTALL}"
