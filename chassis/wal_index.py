"""How often a SQLite file was committed to, without asking SQLite: read from the memory that its processes share.

In WAL mode every commit, of whichever process, first raises a counter in the header of the WAL index, the `-shm` file
(https://www.sqlite.org/walformat.html, "The WAL-Index Header", `iChange`); SQLite itself compares this header to learn
whether something changed. A statement takes ten locks and a turn of the interpreter's; this takes less than a microsecond.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

_HEADER = struct.Struct("=8xIB35x8xIB")
"""The counter and whether the header is complete, of both copies; SQLite writes the second one first."""
_LENGTH = 96
COUNTED_TO = 1 << 32


@dataclass
class _Memory:
    """The header of one `-shm` file, for all who look at it in this process."""

    file: BinaryIO
    header: mmap.mmap
    lookers: int = 0


_lock = Lock()
_held: dict[tuple[int, int], _Memory] = {}
"""By device and inode, for the whole process, as the system's locks are: closing a file, by whichever of its descriptors,
takes from the process the locks that SQLite holds on it (https://www.sqlite.org/howtocorrupt.html, 2.2). The next process
then believes itself alone and clears the memory that we write to. So a file is closed only after the last connection."""


def _hold(path: Path) -> tuple[tuple[int, int], _Memory]:
    found = path.stat()
    at = found.st_dev, found.st_ino
    with _lock:
        if at not in _held:
            file = path.open("rb")
            _held[at] = _Memory(file, mmap.mmap(file.fileno(), _LENGTH, access=mmap.ACCESS_READ))
        _held[at].lookers += 1
        return at, _held[at]


def _let_go(at: tuple[int, int]) -> None:
    with _lock:
        memory = _held[at]
        memory.lookers -= 1
        if not memory.lookers:
            del _held[at]
            memory.header.close()
            memory.file.close()


class WalIndex:
    """The counter of one open file. A connection in WAL mode that has read once must stay open beside it.

    Close it after every connection to the file that was opened beside it.
    """

    def __init__(self, path: str | Path) -> None:
        self._at, memory = _hold(Path(f"{path}-shm"))
        self._header = memory.header

    def changes(self) -> int | None:
        """The number of commits so far, from an unknown start; None while one is being noted."""
        count, complete, copied, copy_complete = _HEADER.unpack_from(self._header)
        return count if count == copied and complete and copy_complete else None

    def close(self) -> None:
        _let_go(self._at)


class Others:
    """Counts what is committed to a file by anybody else, between the commits of the one writer here.

    The writer enters while it holds the file for itself, commits, and leaves: that commit is its own, and has to change
    something, as one that does not is not counted. A count of the file's that is not where the writer left it, or is about
    to, is somebody else's doing. Another thread may ask at any time.
    """

    def __init__(self, path: str | Path) -> None:
        self._index = WalIndex(path)
        self._count = 0
        self._last = self._own = self._index.changes()

    def __enter__(self) -> None:
        before = self._index.changes()
        if before is None or before != self._last:
            self._count += 1
        self._last = before
        self._own = None if before is None else (before + 1) % COUNTED_TO

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure:
            self.start_anew()
        else:
            self._last = self._own

    def start_anew(self) -> None:
        """The writer wrote something else: nobody knows how many commits that were.

        Nor does whoever asks meanwhile: what others commit until the index is read would pass for seen.
        """
        self._last = self._own = None
        self._count += 1
        self._last = self._index.changes()

    def seen(self) -> int | None:
        """How often others wrote so far; None when somebody may have since."""
        now = self._index.changes()
        return self._count if now is not None and now in (self._last, self._own) else None

    def close(self) -> None:
        self._index.close()
