"""Runs a program that can be made to hang: `python -m chaos.environment.hangable MODULE …`.

The program is the real one, unchanged. At SIGUSR1 its main thread, and so its event loop, stops for
good; its other threads and connections continue, as if a call never returned.
"""

from __future__ import annotations

import runpy
import signal
import sys
import time
from types import FrameType

_FOR_GOOD_SECONDS = 3600.0


def _hang(number: int, frame: FrameType | None) -> None:
    del number, frame
    while True:
        time.sleep(_FOR_GOOD_SECONDS)


def main() -> None:
    """Run the module as `python -m` would."""
    signal.signal(signal.SIGUSR1, _hang)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
