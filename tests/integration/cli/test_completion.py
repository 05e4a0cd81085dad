"""The completion script in a real shell."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from chaos.__main__ import main

ASK = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_temporal_chaos
echo "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", "bash"]) == 0
    file = tmp_path / "temporal-chaos.bash"
    file.write_text(capsys.readouterr().out)
    return file


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("temporal-chaos li", "list"),
        ("temporal-chaos run worker_", "worker_crash worker_stop"),
        ("temporal-chaos run worker_crash chec", "checkpoint"),
        ("temporal-chaos run --topol", "--topology"),
        ("temporal-chaos run --topology p", "postgres"),
        ("temporal-chaos clean --k", "--keep"),
        ("temporal-chaos completion f", "fish"),
        ("temporal-chaos nonsense", ""),
    ],
)
def test_bash_completes(script: Path, typed: str, completed: str) -> None:
    bash = shutil.which("bash")
    assert bash

    asked = ASK.format(script=script, words=typed)
    done = subprocess.run([bash, "-c", asked], capture_output=True, text=True, check=True)

    assert (done.stdout.strip(), done.stderr) == (completed, "")
