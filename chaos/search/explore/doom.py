"""The command line of a doomed worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaos.search.explore.points import PlanError

SCRIPT = Path(__file__).with_name("doomed.py")


def doom(worker: Sequence[str]) -> list[str]:
    """A worker's command line with the script before what it runs. Raises PlanError."""
    python, *rest = worker
    is_python = Path(python).name.startswith("python")
    is_module = rest[:1] == ["-m"] and len(rest) > 1
    is_file = bool(rest) and rest[0].endswith(".py")
    if not (is_python and (is_module or is_file)):
        raise PlanError(
            "only a worker that runs as `python -m MODULE` or `python FILE.py` can be explored, "
            f"and the target's runs as `{' '.join(worker)}`."
        )
    return [python, str(SCRIPT), *rest]
