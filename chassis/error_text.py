"""Errors in words that name no value: who reads logs and parked messages learns what went wrong, not about whom.

An error quotes what it stumbled over, and that may be a name or an address, opened a moment before. Logs and reasons are
kept where no key can be destroyed, so quoted text and mail addresses are left out of them.
"""

import re
import traceback
from types import TracebackType

QUOTED = re.compile(r"""(?<!\w)'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[“«„][^”»“]*[”»“]""")
MAIL = re.compile(r"[^\s@'\"<>()\[\],;:=]+@[^\s@'\"<>()\[\],;]+")
PLACE = re.compile(r'[\s|+]*File "')
"""A line that says where in the code; its quotes hold a path."""
LEFT_OUT = "…"


def without_values(text: str) -> str:
    """The text without what it quotes and without mail addresses."""
    return MAIL.sub(LEFT_OUT, QUOTED.sub(lambda found: f"{found[0][0]}{LEFT_OUT}{found[0][-1]}", text))


def told(error: BaseException) -> str:
    """The error's kind and what it says."""
    return f"{type(error).__name__}: {without_values(str(error))}"


def trace(kind: type[BaseException] | None, error: BaseException | None, way: TracebackType | None) -> str:
    """The traceback: where, through which lines of code, and what the errors say."""
    lines = "".join(traceback.format_exception(kind, error, way)).rstrip().split("\n")
    return "\n".join(line if PLACE.match(line) else without_values(line) for line in lines)
