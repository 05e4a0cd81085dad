"""The order in which the Temporal CLI is looked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from chaos.binaries.cache import cache_folder, installing
from chaos.binaries.examine import UnusableError, examine
from chaos.binaries.model import (
    BadBinaryError,
    BinaryNotFoundError,
    Search,
    SearchCancelledError,
    Source,
    TemporalCli,
    WayFailedError,
)
from chaos.binaries.ways import built, cached, cached_or_cleared, downloaded, on_path

Way = tuple[Source, Callable[[Search], TemporalCli]]

READY: tuple[Way, ...] = (
    (Source.PATH, on_path),
    (Source.CACHE, cached),
)
"""What may be there already; needs no lock."""

INSTALLING: tuple[Way, ...] = (
    (Source.CACHE, cached_or_cleared),  # again: another run may have just put it there
    (Source.DOWNLOAD, downloaded),
    (Source.BUILD, built),
)
"""What is tried under the lock of the cache folder."""


def find_temporal_cli(
    explicit: Path | None,
    *,
    announce: Callable[[str], None],
    cancel: threading.Event | None = None,
    env_mark: Mapping[str, str] = MappingProxyType({}),
    progress_interval_seconds: float = 15.0,
) -> TemporalCli:
    """Find a working Temporal CLI, or install one; that takes minutes, and says so.

    `explicit` is the value of --temporal-cli; without it, TEMPORAL_CLI counts. `announce` gets
    lines to show while one waits. Setting `cancel` ends the search and its processes at once.
    `env_mark` is added to the environment of all processes that are started.

    Raises BadBinaryError where the file that the user named is not one, BinaryNotFoundError where
    no way leads to one, and SearchCancelledError.
    """
    search = Search(
        folder=cache_folder(),
        announce=announce,
        cancel=cancel or threading.Event(),
        env_mark=env_mark,
        progress_interval_seconds=progress_interval_seconds,
    )
    return _named_by_user(explicit, search) or _found(search)


def _named_by_user(explicit: Path | None, search: Search) -> TemporalCli | None:
    """No other way is tried in place of what the user wants."""
    named = explicit or os.environ.get("TEMPORAL_CLI")
    if not named:
        return None
    source = Source.OPTION if explicit else Source.ENVIRONMENT
    try:
        return examine(Path(named), source, search)
    except UnusableError as error:
        raise BadBinaryError(f"{source} names {named}, which {error}.") from None


def _found(search: Search) -> TemporalCli:
    failures: dict[Source, str] = {}
    if cli := _first_that_works(READY, search, failures):
        return cli
    try:
        with installing(search):
            if cli := _first_that_works(INSTALLING, search, failures):
                return cli
    except WayFailedError as error:
        for source, _ in INSTALLING:
            failures.setdefault(source, f"not tried: {error}")
    raise BinaryNotFoundError(failures)


def _first_that_works(
    ways: tuple[Way, ...], search: Search, failures: dict[Source, str]
) -> TemporalCli | None:
    for source, attempt in ways:
        if search.cancel.is_set():
            raise SearchCancelledError("The search for the Temporal CLI was ended.")
        try:
            return attempt(search)
        except WayFailedError as error:
            failures[source] = str(error)
    return None
