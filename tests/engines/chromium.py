"""Chromium from the system's packages, driven by Playwright through `executable_path`."""

import shutil

from tests.engines import INSTALL, EngineFailed

NAMES = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str | None:
    """Why no browser can run here, or None."""
    return None if any(map(shutil.which, NAMES)) else f"Chromium is not installed: {INSTALL}"


def chromium_path() -> str:
    """The browser's program. Raises EngineFailed when there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise EngineFailed(f"Chromium is not installed: {INSTALL}")
    return path
