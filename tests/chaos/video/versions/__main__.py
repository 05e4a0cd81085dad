"""A worker of another build: `python -m tests.chaos.video.versions new` or `broken`."""

from __future__ import annotations

import sys

from tests.chaos.video.versions import change, next_release
from workflows import versioned, videos, worker

BUILDS = ("new", "broken")


def main(build: str) -> int:
    """Run the worker of `workflows/` with a build's workflows and activities."""
    # The worker reads all three when it is made.
    vars(videos)["WORKFLOWS"] = next_release.WORKFLOWS
    vars(versioned)["WORKFLOWS"] = next_release.VERSIONED
    vars(worker)["VideoActivities"] = change.VideoActivities
    if build == "broken":
        change.plant_the_mistake()
    return worker.main()


if __name__ == "__main__":
    sys.exit(main(BUILDS[BUILDS.index(sys.argv[1])]))
