from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chaos.recheck.own import scenarios_in
from chaos.recheck.recorded import RecheckError

ONE = """
from beside import TITLE
from chaos.kit import Scenario
SCENARIOS = (Scenario(number=1, name="mine", title=TITLE, cases=()),)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    (tmp_path / "beside.py").write_text("TITLE = 'Mine'")
    return tmp_path


def test_they_are_found_with_what_they_import(project: Path) -> None:
    file = project / "test_mine.py"
    file.write_text(ONE)

    assert [scenario.title for scenario in scenarios_in(file)] == ["Mine"]
    assert str(project) not in sys.path


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
