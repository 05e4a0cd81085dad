"""The shop with the worker that fails at the third time: a target of its own, which a copy of this
project names in its `pyproject.toml` to see whether a campaign finds that.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from tests.shop import SHOP as SOUND

from chaos import Timings

SHOP = replace(
    SOUND,
    worker=(sys.executable, "-m", "tests.third_time_worker"),
    # 15 s until a lost heartbeat is noticed, 7 s of backoff, and what a start takes.
    timings=Timings(recovery_seconds=29),
    scenarios=lambda: (),
)
