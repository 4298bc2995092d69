"""AsyncAPI's own parser, run by Node: the public judge of the generated document."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.engines import FOLDER, INSTALL

MODULES = FOLDER / "asyncapi" / "node_modules"
SCRIPT = Path(__file__).with_name("asyncapi.cjs")
PARSE_SECONDS = 180


def missing() -> str | None:
    """Why the parser cannot run here, or None."""
    if shutil.which("node") is None:
        return f"the AsyncAPI parser needs Node: {INSTALL}"
    return None if MODULES.is_dir() else f"the AsyncAPI parser is not in .engines/: {INSTALL}"


def complaints(document: str) -> list[str]:
    """What the parser holds against a document, in JSON or YAML; an accepted document has none."""
    command = ["node", str(SCRIPT), str(MODULES)]
    parsed = subprocess.run(command, input=document, check=True, capture_output=True, text=True, timeout=PARSE_SECONDS)
    found: list[str] = json.loads(parsed.stdout)
    return found
