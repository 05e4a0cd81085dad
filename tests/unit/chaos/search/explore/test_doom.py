"""A doomed worker runs in the guest's own Python, with nothing of ours but one script."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.search.explore.doom import SCRIPT, doom
from chaos.search.explore.doomed import FOLDER_VARIABLE
from chaos.search.explore.points import PlanError

TELLS = "import sys; print(sys.argv, sys.path[0]); import state; print(state.WHOSE)"
"""A worker that imports a module of its own, whose name one of ours has as well."""


@pytest.mark.parametrize(
    ("worker", "doomed"),
    [
        (("python", "-m", "orders.worker"), ["python", str(SCRIPT), "-m", "orders.worker"]),
        (("/x/python3.11", "run.py", "-v"), ["/x/python3.11", str(SCRIPT), "run.py", "-v"]),
    ],
)
def test_the_script_stands_before_what_is_run(worker: Sequence[str], doomed: list[str]) -> None:
    assert doom(worker) == doomed


@pytest.mark.parametrize(
    "worker",
    [("npm", "start"), ("./worker",), ("python",), ("python", "-m"), ("python", "-c", "pass")],
    ids=" ".join,
)
def test_any_other_worker_is_refused_in_one_sentence(worker: Sequence[str]) -> None:
    with pytest.raises(PlanError, match=f"and the target's runs as `{' '.join(worker)}`"):
        doom(worker)


def test_the_script_imports_nothing_that_a_guest_may_not_have() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(SCRIPT.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported - sys.stdlib_module_names == {"temporalio", "httpx"}


@pytest.mark.parametrize("what", [("-m", "work"), ("work.py",)], ids=" ".join)
def test_a_worker_has_its_own_arguments_and_modules(what: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(TELLS)
    (tmp_path / "state.py").write_text("WHOSE = 'the guest'")

    said = subprocess.run(
        [sys.executable, str(SCRIPT), *what, "--queue", "x"],
        cwd=tmp_path,
        env={FOLDER_VARIABLE: str(tmp_path)},
        capture_output=True,
        check=True,
        text=True,
    ).stdout.splitlines()

    argv = str(tmp_path / "work.py") if what[0] == "-m" else "work.py"
    assert said == [f"{[argv, '--queue', 'x']} {tmp_path}", "the guest"]
