"""Writes what passes on a line, each record by one call of the system before the line goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from chaos.evidence.files import cut_unfinished_line
from chaos.wire.journal import RECORD, WireRecord, file_name


class WireJournalError(Exception):
    """A line's journal cannot be opened; the message says why and what to do."""


class WireJournal:
    """Appends to the file of a line in a folder. Where that fails later, `on_failure` gets the
    sentence with which the process has to end: what leaves no record proves nothing.
    """

    def __init__(self, folder: Path, line: str, on_failure: Callable[[str], None]) -> None:
        self.line = line
        self._path = folder / file_name(line)
        self._on_failure = on_failure
        self._is_closed = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            cut_unfinished_line(self._path)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise WireJournalError(
                f"The journal {self._path} cannot be opened for writing ({error.strerror}): "
                "name a folder that is writable."
            ) from None

    def add(self, record: WireRecord) -> None:
        """Write one record; it is the kernel's when this returns. What comes after `close` is lost:
        the line has ended, and its number may be another file's by then.
        """
        if self._is_closed:
            return
        data = RECORD.dump_json(record) + b"\n"
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            self._fail(error.strerror or str(error))
        else:
            if written < len(data):
                self._fail("the disk is full")

    def close(self) -> None:
        """Give the file up."""
        self._is_closed = True
        os.close(self._descriptor)

    def _fail(self, reason: str) -> None:
        self._on_failure(
            f"The journal {self._path} cannot be written ({reason}): make room for it and "
            "start again."
        )
