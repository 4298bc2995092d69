"""Files that only their owner may read: written whole or not at all, made once even if two processes start together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

OWNER_ONLY = 0o600


def make_once(path: Path, body: bytes) -> bytes:
    """Writes the body unless the file is there already; what the file then holds."""
    if not path.exists():
        with _draft(path, body) as draft:
            try:
                os.link(draft, path)
            except FileExistsError:
                return path.read_bytes()
    return path.read_bytes()


def replace(path: Path, body: bytes) -> None:
    """Puts the body in the file's place in one step."""
    with _draft(path, body) as draft:
        draft.replace(path)


@contextmanager
def _draft(path: Path, body: bytes) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid4().hex}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)
