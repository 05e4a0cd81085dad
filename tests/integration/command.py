"""Runs `temporal-chaos` in a project of its own, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def chaos(project: Path, cli: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chaos", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "TEMPORAL_CLI": str(cli)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
