"""What is logged meanwhile, as it would stand in a container's output."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from chassis import logs


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """The lines as they come; the configuration before it is put back."""
    stream = io.StringIO()
    handlers, level = logging.root.handlers[:], logging.root.level
    logs.configure(stream=stream)
    try:
        yield stream
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        structlog.reset_defaults()
