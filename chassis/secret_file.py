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
        with draft(path, body) as written:
            try:
                os.link(written, path)
            except FileExistsError:
                return path.read_bytes()
    return path.read_bytes()


def replace(path: Path, body: bytes) -> None:
    """Puts the body in the file's place in one step."""
    with draft(path, body) as written:
        written.replace(path)


@contextmanager
def draft(path: Path, body: bytes = b"") -> Iterator[Path]:
    """A file beside that path, with the body, for its owner alone: to be put in its place, else it is gone afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f"{path.name}.{uuid4().hex}.new")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    try:
        yield written
    finally:
        written.unlink(missing_ok=True)
