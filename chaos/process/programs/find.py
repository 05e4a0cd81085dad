"""The order in which a program is looked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from chaos.process.programs.cache import cache_folder, installing
from chaos.process.programs.command import UnusableError, examine
from chaos.process.programs.model import (
    TEMPORAL_CLI,
    BadBinaryError,
    Binary,
    BinaryNotFoundError,
    Program,
    Search,
    SearchCancelledError,
    Source,
    WayFailedError,
)
from chaos.process.programs.ways import (
    built,
    cached,
    cached_or_cleared,
    downloaded,
    find_go,
    from_wheel,
    on_path,
    require_sdk,
    require_wheel,
)

Way = tuple[Source, Callable[[Search], Binary]]

READY: tuple[Way, ...] = (
    (Source.PATH, on_path),
    (Source.CACHE, cached),
)
"""Ways to a program that exists already; they need no lock."""

INSTALLING: tuple[Way, ...] = (
    (Source.CACHE, cached_or_cleared),  # again: another run may have just put it there
    (Source.DOWNLOAD, downloaded),
    (Source.WHEEL, from_wheel),
    (Source.BUILD, built),
)
"""Ways that are tried under the lock of the cache folder."""

_NEEDS: Mapping[Source, Callable[[Search], object]] = {
    Source.DOWNLOAD: require_sdk,
    Source.WHEEL: require_wheel,
    Source.BUILD: find_go,
}
"""Checks, without a connection, of which of these ways are closed; in their order."""


def find_program(  # noqa: PLR0913 - all but the first two are what a search shares
    program: Program,
    explicit: Path | None,
    *,
    announce: Callable[[str], None],
    cancel: threading.Event | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
    progress_interval_seconds: float = 15.0,
) -> Binary:
    """Find the program, or install it, which takes minutes and is announced.

    `explicit` is the value of its option; without it, its variable counts. `announce` gets lines
    to show while one waits. Setting `cancel` ends the search and its processes at once.
    `environment` is added to the environment of all processes that are started.

    Raises BadBinaryError where the file that the user named is not one, BinaryNotFoundError if no
    way leads to one, and SearchCancelledError.
    """
    search = Search(
        program=program,
        folder=cache_folder(),
        announce=announce,
        cancel=cancel or threading.Event(),
        environment=environment,
        progress_interval_seconds=progress_interval_seconds,
    )
    return _named_by_user(explicit, search) or _found(search)


def find_installed(program: Program) -> Binary | None:
    """The program, if it exists already. Installs nothing, writes nothing, and needs no
    network.

    Raises BadBinaryError where the file that its variable names is not one.
    """
    search = _look(program)
    return _named_by_user(None, search) or _first_that_works(READY, search, {})


def why_not_installed(program: Program) -> Mapping[Source, str | None]:
    """For each way to install it, the reason why it is closed here; None if only the network could
    prevent it.
    """
    search = _look(program, Path("/"))  # not in the cache folder: there may be none yet
    reasons: dict[Source, str | None] = {}
    for source, require in _NEEDS.items():
        try:
            require(search)
            reasons[source] = None
        except WayFailedError as error:
            reasons[source] = str(error)
    return reasons


def _look(program: Program, folder: Path | None = None) -> Search:
    return Search(program=program, folder=folder or cache_folder(), announce=lambda _: None)


find_temporal_cli = partial(find_program, TEMPORAL_CLI)
"""The same for the Temporal CLI."""


def _named_by_user(explicit: Path | None, search: Search) -> Binary | None:
    """No other way is tried if the user has named a file."""
    named = explicit or os.environ.get(search.program.variable)
    if not named:
        return None
    source = Source.OPTION if explicit else Source.ENVIRONMENT
    try:
        return examine(Path(named), source, search)
    except UnusableError as error:
        by = search.program.option if explicit else search.program.variable
        raise BadBinaryError(f"{by} names {named}, which {error}.") from None


def _found(search: Search) -> Binary:
    failures: dict[Source, str] = {}
    if found := _first_that_works(READY, search, failures):
        return found
    try:
        with installing(search):
            if found := _first_that_works(INSTALLING, search, failures):
                return found
    except WayFailedError as error:
        for source, _ in INSTALLING:
            failures.setdefault(source, f"not tried: {error}")
    raise BinaryNotFoundError(search.program, failures)


def _first_that_works(
    ways: tuple[Way, ...], search: Search, failures: dict[Source, str]
) -> Binary | None:
    for source, attempt in ways:
        if search.cancel.is_set():
            raise SearchCancelledError(f"The search for {search.program.name} was ended.")
        try:
            return attempt(search)
        except WayFailedError as error:
            failures[source] = str(error)
    return None
