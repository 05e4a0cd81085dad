"""`import chaos` costs nothing, and has all that a project needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import chaos

HEAVY = ("temporalio", "pydantic", "google", "pytest", "rich")

SURVEY = """
import sys
import chaos
assert dir(chaos)
heavy = [name for name in sys.argv[1:] if name in sys.modules]
ours = sorted(name for name in sys.modules if name.startswith("chaos."))
print(heavy, ours)
"""


def _run(code: str, *arguments: str) -> str:
    """What Python prints that has imported nothing yet."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    return done.stdout


def test_to_import_it_imports_nothing_else() -> None:
    assert _run(SURVEY, *HEAVY) == "[] []\n"


def test_a_name_is_imported_when_it_is_used() -> None:
    code = "import sys, chaos; chaos.Bill; print('pydantic' in sys.modules)"

    assert _run(code) == "True\n"


@pytest.mark.parametrize("name", chaos.__all__)
def test_each_name_is_there_and_is_called_so(name: str) -> None:
    found = getattr(chaos, name)

    assert getattr(found, "__name__", name) == name
    assert name in dir(chaos)


def test_each_line_of_the_stub_is_a_name_and_each_name_is_there_once() -> None:
    stub = Path(chaos.__file__ or "").with_suffix(".pyi").read_text()

    assert len(set(chaos.__all__)) == len(chaos.__all__) == stub.count("import ") > 50
    typed = re.findall(r"(?m)^from chaos\.\S+ import (\w+) as (\w+)$", stub)
    assert [name for name, _ in typed] == [shown for _, shown in typed] == chaos.__all__


def test_a_module_that_is_not_imported_yet_is_still_found() -> None:
    assert (
        _run("from chaos.evidence import bills; print(bills.__name__)") == "chaos.evidence.bills\n"
    )


@pytest.mark.parametrize("name", ["Expectation", "System", "kit", "__wrapped__"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"^module 'chaos' has no attribute '{name}'$"):
        getattr(chaos, name)


def test_an_unknown_name_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Nonsense' from 'chaos'"):
        exec("from chaos import Nonsense", {})  # noqa: S102 - as a user writes it
