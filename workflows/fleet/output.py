"""Standard error behind a queue: a terminal or a log collector that stops reading must not block
the supervisor.
"""

from __future__ import annotations

import os
import queue
import threading

ROOM_LINES = 10_000
LAST_LINES_SECONDS = 2.0


class Output:
    """A stream for the logging module. `write` never blocks; lines without room are dropped."""

    def __init__(self, descriptor: int = 2, room_lines: int = ROOM_LINES) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[str | None] = queue.Queue(room_lines)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_all, name="output", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Queue a text."""
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._dropped += 1

    def flush(self) -> None:
        """Nothing to do: the thread writes at once."""

    def close(self) -> None:
        """Wait a moment until all is written."""
        try:
            self._lines.put(None, timeout=LAST_LINES_SECONDS)
        except queue.Full:
            return
        self._thread.join(LAST_LINES_SECONDS)

    def _write_all(self) -> None:
        while (text := self._lines.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            note = (
                f"({dropped} lines were dropped here: the reader was too slow)\n" if dropped else ""
            )
            data = f"{note}{text}".encode(errors="replace")
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:  # nobody reads any more, ever
                return
