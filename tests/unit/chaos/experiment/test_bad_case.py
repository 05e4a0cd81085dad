"""A case that cannot say what it is, or whose books cannot be read, takes nothing from others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaos.environment.target import Target
from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.evidence.history import Status
from chaos.experiment.lab import Options
from chaos.experiment.reporter import plan
from chaos.experiment.results import WorkflowResult, case_result, scenario_result
from chaos.experiment.run import CaseError, _ask
from chaos.experiment.runner import _split
from chaos.experiment.saving import ends_the_run
from chaos.experiment.scenario import Case, Scenario
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.unit.chaos.made_history import Made, evidence_of

TARGET = Target(worker=("worker",), task_queue="orders")


async def _nothing(_: object) -> None:
    """An experiment."""


def _raise(error: BaseException) -> Callable[..., Any]:
    def ask(*_: object) -> Any:
        raise error

    return ask


def _case(name: str = "case", **options: Any) -> Case:
    given: dict[str, Any] = {"load": lambda _: (), "proofs": (), "invariants": ()}
    return Case(name=name, target=TARGET, experiment=_nothing, **{**given, **options})


def _scenario(*cases: Case) -> Scenario:
    return Scenario(name="orders", title="Orders", cases=cases)


ERRORS = [ValueError("no"), SystemExit(2), pytest.fail.Exception("no"), pytest.skip.Exception("no")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_case_that_cannot_say_what_it_needs_or_starts_is_asked_again_when_it_runs(
    error: BaseException,
) -> None:
    bad = (_case("needs", needs=_raise(error)), _case("load", load=_raise(error)))
    scenario = _scenario(*bad, _case("sound"))

    kept, absent = _split([scenario], Mode.MOCKED, Topology.DEV)
    planned = plan(kept, Options(), Path("/nowhere"))

    assert (list(kept), absent) == ([scenario], ())
    assert [each.workflows for each in planned.cases] == [0, 0, 0]
    for case in bad:
        with pytest.raises(CaseError, match=f"the case's `{case.name}` raised an error: .*no|2"):
            _ask(case, Options())
    _ask(_case(), Options())


def test_ctrl_c_is_nobodys_bad_case() -> None:
    bad = _case(needs=_raise(KeyboardInterrupt()), load=_raise(KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        _split([_scenario(bad)], Mode.MOCKED, Topology.DEV)
    with pytest.raises(KeyboardInterrupt):
        plan([_scenario(bad)], Options(), Path("/nowhere"))
    with pytest.raises(KeyboardInterrupt):
        _ask(bad, Options())
    with pytest.raises(KeyboardInterrupt):
        Invariant("odd", _raise(KeyboardInterrupt())).examine(evidence_of(Made().workflow()))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_check_that_raises_anything_leaves_its_question_open(error: BaseException) -> None:
    finding = Invariant("odd", _raise(error)).examine(evidence_of(Made().workflow()))

    assert finding.verdict is Verdict.UNKNOWN
    assert finding.problems[0].startswith("the check raised an error: ")


async def test_a_run_that_is_cancelled_ends_and_a_cancellation_of_a_cases_own_ends_only_that() -> (
    None
):
    assert not ends_the_run(asyncio.CancelledError())
    assert not ends_the_run(SystemExit(1))
    assert ends_the_run(KeyboardInterrupt())
    seen: list[bool] = []

    async def run() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            seen.append(ends_the_run(error))
            raise

    running = asyncio.create_task(run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert seen == [True]


@pytest.mark.parametrize(
    ("status", "expected", "told"),
    [
        (Status.COMPLETED, Status.COMPLETED, "complete"),
        (Status.RUNNING, Status.RUNNING, "complete"),
        (Status.RUNNING, Status.COMPLETED, "incomplete"),
        (Status.LOST, Status.COMPLETED, "incomplete"),
        (Status.COMPLETED, Status.RUNNING, "complete"),
    ],
)
def test_a_workflow_that_should_still_run_leaves_its_scenario_complete(
    status: Status, expected: Status, told: str
) -> None:
    workflow = Made().workflow() if status is Status.RUNNING else Made().ended().workflow()
    evidence = evidence_of(workflow, status=expected)
    if status is Status.LOST:
        evidence = replace(evidence, workflows={})
    case = _case()

    result = case_result(case, evidence, (), root=evidence.folder, duration_s=1.0)

    (found,) = result.workflows
    assert (found.status, found.expected) == (status, expected)
    assert scenario_result(_scenario(case), [result]).status == told


def test_a_result_of_an_older_version_expected_an_end() -> None:
    old = WorkflowResult.model_validate(
        {"workflow_id": "order-1", "run_id": "r", "status": "running", "history": None}
    )

    assert old.expected is Status.COMPLETED
    assert not old.is_over
