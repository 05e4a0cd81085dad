from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos.experiment.scenario import Scenario
from chaos.invariants.verdict import Verdict
from chaos.report.recheck import recheck
from chaos.report.recheck.own import scenarios_in
from chaos.report.recheck.recorded import RecheckError
from tests.chaos.video.scenarios.catalogue import all_scenarios

PROJECT = Path(__file__).parents[5]
EXAMPLE = PROJECT / "examples" / "orders"

ONE = """
from beside import TITLE
from chaos.kit import Scenario
SCENARIOS = (Scenario(number=1, name="mine", title=TITLE, cases=()),)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    (tmp_path / "beside.py").write_text("TITLE = 'Mine'")
    return tmp_path


def test_they_are_found_with_what_they_import(project: Path) -> None:
    file = project / "test_mine.py"
    file.write_text(ONE)

    assert [scenario.title for scenario in scenarios_in(file)] == ["Mine"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1", "has no SCENARIOS."),
        ("SCENARIOS = (1,)", "has no SCENARIOS."),
        ("import nothing_like_it", "cannot be imported (ModuleNotFoundError"),
    ],
)
def test_a_file_without_them_is_refused(project: Path, text: str, sentence: str) -> None:
    file = project / "test_mine.py"
    file.write_text(text)

    with pytest.raises(RecheckError) as caught:
        scenarios_in(file)

    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["none.py", "folder"])
def test_what_is_no_file_is_refused(project: Path, name: str) -> None:
    (project / "folder").mkdir()

    with pytest.raises(RecheckError, match="is no Python file"):
        scenarios_in(project / name)


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a run of the example; this is its project's folder."""
    monkeypatch.chdir(EXAMPLE)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return Path(shutil.copytree(PROJECT / "tests" / "data" / "orders", tmp_path / "run"))


def _scenarios() -> Sequence[Scenario]:
    return scenarios_in(EXAMPLE / "tests" / "test_orders_survive.py")


def test_a_run_of_ones_own_is_judged_again(orders: Path) -> None:
    found = recheck(orders, _scenarios())

    assert found.exit_code == 0
    assert [s.verdict for s in found.result.scenarios] == [Verdict.PASSED] * 3


def test_its_own_invariant_sees_what_is_broken(orders: Path) -> None:
    books = orders / "worker_dies_charging" / "sigkill" / "charges.jsonl"
    books.write_text(books.read_text() * 2)

    found = recheck(orders, _scenarios())

    failed = [s for s in found.result.scenarios if s.verdict is Verdict.FAILED]
    assert [s.name for s in failed] == ["worker_dies_charging"]
    assert "order-killed is 2 times in charges.jsonl" in failed[0].reason


def test_without_its_scenarios_a_run_of_ones_own_is_unknown(orders: Path) -> None:
    found = recheck(orders, all_scenarios())

    assert {s.verdict for s in found.result.scenarios} == {Verdict.UNKNOWN}
    checks = [check for s in found.result.scenarios for case in s.cases for check in case.checks]
    assert {check.check for check in checks} == {"recheck"}
    assert all("--scenarios names the file" in check.problems[0] for check in checks)
