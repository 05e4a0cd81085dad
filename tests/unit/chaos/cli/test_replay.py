"""`replay`: what it replays with, and what it says where there is nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.__main__ import main
from chaos.cli import UnusableError
from chaos.cli.replayer import code_of

_ORDERS = Path(__file__).parents[3] / "data" / "orders"

_CODE = """
from temporalio import workflow

@workflow.defn
class Parcel:
    @workflow.run
    async def run(self) -> None: ...

@workflow.defn(name="Order")
class Renamed:
    @workflow.run
    async def run(self) -> None: ...

ALL = [Parcel, Renamed]
NUMBER = 1
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "flows_of_a_parcel.py").write_text(_CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("project")
def test_a_class_and_a_list_of_them_are_found() -> None:
    (one,) = code_of(["flows_of_a_parcel:Renamed"])
    (both,) = code_of(["flows_of_a_parcel:ALL"])

    assert one.kinds == {"Order"}
    assert both.kinds == {"Order", "Parcel"}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("flows_of_a_parcel:Letter", "cannot be imported (AttributeError"),
        ("flows_of_a_parcel:NUMBER", "1 is no workflow; name a class that has @workflow.defn"),
        ("flows_of_a_parcel:workflow", "is no workflow; name a class that has @workflow.defn"),
        ("flows_of_nobody:Order", "cannot be imported (ModuleNotFoundError"),
        ("Order", "say MODULE:CLASS"),
    ],
)
def test_what_is_no_workflow_is_said_in_a_sentence(name: str, complaint: str) -> None:
    with pytest.raises(UnusableError) as raised:
        code_of([name])

    assert str(raised.value).startswith(f"--workflows {name}")
    assert complaint in str(raised.value)


@pytest.mark.usefixtures("project")
def test_a_project_must_name_its_workflows() -> None:
    with pytest.raises(UnusableError, match="names no target"):
        code_of([])


@pytest.mark.usefixtures("project")
def test_histories_of_nobodys_type_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--workflows", "flows_of_a_parcel:Parcel", str(_ORDERS)]) == 2

    said = capsys.readouterr()
    assert said.out == "Left out: 3 histories of other workflow types: Order (3).\n"
    assert said.err.startswith("none of 3 histories is of a workflow type that is named (Parcel)")


def test_the_controls_of_a_run_are_left_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = project / "run"
    results = json.loads((_ORDERS / "results.json").read_text())
    for scenario in results["scenarios"]:
        for case in scenario["cases"]:
            case["control"] = True
            folder = run / scenario["name"] / case["name"]
            folder.mkdir(parents=True)
            (folder / "order.json").write_text('{"events": [{"eventType": "damaged"')
    (run / "results.json").write_text(json.dumps(results))

    assert main(["replay", "--workflows", "flows_of_a_parcel:ALL", str(run)]) == 2

    said = capsys.readouterr()
    assert "cases of the run that are broken on purpose, as controls." in said.out
    assert said.err.startswith(f"{run} has no history")
