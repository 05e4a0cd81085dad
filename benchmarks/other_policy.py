"""A worker whose activities have no heartbeat: `python -m benchmarks.other_policy no-heartbeat`.

The type that is ignored is the policy's, which is taken away on purpose.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from workflows import entry, policies, worker

START_TO_CLOSE_SECONDS = 60.0
"""In place of 30 min, or nobody could wait for it."""


def main() -> int:
    """Plant the policy, then work as any worker does."""
    if sys.argv[1:] == ["no-heartbeat"]:
        policies.HEARTBEAT_TIMEOUT = None  # type: ignore[assignment] # as no policy of ours has it
        policies.START_TO_CLOSE_TIMEOUT = timedelta(seconds=START_TO_CLOSE_SECONDS)
    return worker.main()


if __name__ == "__main__":
    entry.leave(main())
