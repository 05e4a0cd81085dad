"""What a search for the Temporal CLI is given, what it returns and how it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Source(StrEnum):
    """The way by which a binary was found; reported as it stands."""

    OPTION = "--temporal-cli"
    ENVIRONMENT = "TEMPORAL_CLI"
    PATH = "PATH"
    CACHE = "cache"
    DOWNLOAD = "SDK download"
    BUILD = "go install"


@dataclass(frozen=True)
class TemporalCli:
    """A Temporal CLI that has answered `--version`."""

    path: Path
    """Absolute."""
    version_line: str
    """Its whole answer. One built from source does not know its own version: `0.0.0-DEV`."""
    server_version: str
    """The version of the Temporal Server inside, such as `1.29.1`."""
    source: Source


@dataclass(frozen=True, kw_only=True)
class Search:
    """What every way of a search shares."""

    folder: Path
    """The cache folder."""
    announce: Callable[[str], None]
    cancel: threading.Event = field(default_factory=threading.Event)
    env_mark: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of each process that the search starts."""
    progress_interval_seconds: float = 15.0


class BadBinaryError(Exception):
    """A binary named by the user is not a working Temporal CLI. One sentence says why."""


class SearchCancelledError(Exception):
    """The search's `cancel` event was set; everything it had started has been ended."""


class BinaryNotFoundError(Exception):
    """No way led to a Temporal CLI. The message has each way with the reason, and what to do."""

    def __init__(self, failures: Mapping[Source, str]) -> None:
        self.failures = dict(failures)
        lines = "".join(f"  - {source}: {reason}\n" for source, reason in failures.items())
        super().__init__(
            f"No Temporal CLI was found, and none could be installed:\n{lines}"
            "Put `temporal` on PATH, name its file by --temporal-cli or TEMPORAL_CLI,"
            " or install Go 1.25 or newer, so that it can be built."
        )


class WayFailedError(Exception):
    """One way of a search led nowhere; the message is the reason, a line long."""


def shorten(text: str, limit: int = 300) -> str:
    """The text in one line of at most `limit` characters, its end kept: errors stand there."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"… {line[-(limit - 2) :]}"
