"""The real worker, with less patience for free calls than for minutes: `python -m …hasty`."""

from __future__ import annotations

import sys

from workflows import policies, worker

if __name__ == "__main__":
    policies.POLL_DEADLINE_SECONDS = 3.0
    policies.DOWNLOAD_DEADLINE_SECONDS = 3.0
    sys.exit(worker.main())
