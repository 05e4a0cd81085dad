"""The folder of a probe among the reports."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from chaos.search.probe.given import GivenError

PREFIX = "probe-"
_MOST = 100


def new_folder(reports: Path) -> Path:
    """A new one, named by the time. Raises GivenError."""
    name = f"{PREFIX}{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
    try:
        for suffix in ("", *(f"-{number}" for number in range(2, _MOST))):
            with suppress(FileExistsError):
                folder = reports.absolute() / f"{name}{suffix}"
                folder.mkdir(parents=True)
                return folder
    except OSError as error:
        raise GivenError(
            f"the folder for reports {reports} cannot be written to ({error.strerror}); choose "
            "another with --reports."
        ) from None
    raise GivenError(f"{reports} already holds a hundred of this second; try again.")
