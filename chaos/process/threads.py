"""Threads of extensions, such as those of the SDK: Python does not know them, and aborts if it ends
while one of them is in it.
"""

from __future__ import annotations

import sys
import threading
import time

_INTERVAL_SECONDS = 0.001


def let_foreign_threads_leave(deadline_seconds: float = 1.0) -> bool:
    """Before the program ends: wait until no thread is in Python that it has not started. One that
    has just answered a call needs a moment to leave. Whether all have left.
    """
    end = time.monotonic() + deadline_seconds
    while _foreign():
        if time.monotonic() >= end:
            return False
        time.sleep(_INTERVAL_SECONDS)  # without the lock that the others need
    return True


def _foreign() -> set[int]:
    inside = sys._current_frames()  # noqa: SLF001 - documented, and the only way to see them
    return inside.keys() - {each.ident for each in threading.enumerate()}
