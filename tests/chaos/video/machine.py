"""What this project needs of a machine beside what the harness does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from chaos.environment.needs import Need, State
from tests.chaos.video.live_api import LiveError, load_live_api

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def needs(folder: Path) -> Iterator[Need]:
    """A browser for the tests of pages, and the user's key for a live run."""
    yield _chromium()
    yield _key(folder)


def _chromium() -> Need:
    needed_by = "the suite's own tests"
    found = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if found:
        return Need(State.OK, "Chromium", needed_by, found)
    how = "on Debian, install the package chromium"
    return Need(State.OPTIONAL, "Chromium", needed_by, "none", how)


def _key(folder: Path) -> Need:
    try:
        load_live_api(Decimal(1), folder)
    except LiveError as error:
        return Need(State.OPTIONAL, "GEMINI_API_KEY", "--live", "none", str(error))
    return Need(State.OK, "GEMINI_API_KEY", "--live", "set")
