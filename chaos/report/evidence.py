"""Where a kept run has the evidence of its cases, and how that is read without their code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chaos.environment.target import Target
from chaos.evidence.case import Evidence

_LONGEST_NAME = 255
"""Of a file, in bytes, for most systems."""
_NOWHERE = ".no-such-case"

UNNAMED = Target(worker=(), task_queue="")
"""A target of which nothing is known but what its evidence says."""


def load_evidence(folder: Path, targets: Sequence[Target]) -> tuple[Target, Evidence]:
    """A case's evidence by the first of these targets that can read it, or as it stands.

    An older version kept no books of its own: only the target can read who was paid. Raises
    whatever the reading of damaged evidence raises.
    """
    for target in targets:
        with suppress(Exception):  # it may be another's
            return target, target.load_evidence(folder)
    return UNNAMED, UNNAMED.load_evidence(folder)


def evidence_folder(run: Path, scenario: str, case: str) -> Path:
    """Where the evidence of a case is. A name that would lead out of the run leads to nothing."""
    for name in (scenario, case):
        is_one = name not in {"", ".", ".."} and not {"/", "\0"} & set(name)
        if not is_one or len(os.fsencode(name)) > _LONGEST_NAME:
            return run / _NOWHERE
    return run / scenario / case
