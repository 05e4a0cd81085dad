from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio import workflow

from chaos import kit
from chaos.environment.temporal import StackSpec
from chaos.evidence.bills import Mode
from chaos.evidence.case import Evidence, Promise, save_promise
from chaos.experiment.judge import SAFETY, judge, safety
from chaos.experiment.scenario import Case
from chaos.invariants import invariant
from chaos.invariants.survival import replays_with
from chaos.invariants.verdict import Verdict
from tests.chaos.video.estimate import in_mode
from tests.chaos.video.scenarios.worker_crash import SCENARIO

SYSTEM = kit.System(worker=("true",), task_queue="mine", recovery_seconds=5)
VIDEOS = SCENARIO.cases[0]


@workflow.defn(name="SingleVideo", sandboxed=False)
class _Another:
    """Not what the histories were made by."""

    @workflow.run
    async def run(self, argument: dict[str, str]) -> None:
        del argument


@invariant
def _never_holds(evidence: Evidence) -> Iterator[str]:
    del evidence
    yield "never"


def _guest() -> Case:
    return replace(VIDEOS, stack=StackSpec(system=SYSTEM), invariants=(*kit.COMMON, _never_holds))


def test_everything_that_the_kit_names_is_there() -> None:
    assert sorted(kit.__all__, key=str) == sorted(set(kit.__all__))
    assert [name for name in kit.__all__ if not hasattr(kit, name)] == []


def test_of_another_system_no_prompts_and_bills_are_judged(worker_crash: Evidence) -> None:
    case = _guest()
    troubled = replace(worker_crash, journal=worker_crash.journal)
    troubled.__dict__["troubles"] = ["it broke off"]

    names = [finding.check for finding in judge(case, troubled)]

    assert safety(VIDEOS) == SAFETY
    assert names == ["experiment", "no_workflow_task_fails"]


def test_its_own_invariants_are_judged(worker_crash: Evidence) -> None:
    found = {f.check: f.verdict for f in judge(_guest(), worker_crash)}

    assert found["_never_holds"] is Verdict.FAILED
    assert found["workflows_end_as_expected"] is Verdict.PASSED


def test_histories_of_other_code_do_not_replay(worker_crash: Evidence) -> None:
    finding = replays_with([_Another]).examine(worker_crash)

    assert finding.check == "histories_replay"
    assert finding.verdict is Verdict.FAILED


def test_a_promise_is_kept_with_the_evidence(tmp_path: Path, worker_crash: Evidence) -> None:
    (tmp_path / "expectations.json").write_text("[]")
    save_promise(tmp_path, Promise(recovery_seconds=12.5))

    assert Evidence.load(tmp_path).recovery_seconds == 12.5
    assert worker_crash.recovery_seconds is None


def test_another_system_is_never_run_live() -> None:
    guest = replace(SCENARIO, cases=(_guest(),))

    assert len(in_mode(SCENARIO, Mode.LIVE).cases) == 1
    assert in_mode(guest, Mode.LIVE).cases == ()
    assert len(in_mode(guest, Mode.MOCKED).cases) == 1


@pytest.mark.parametrize("arguments", [(), ({"order_id": "a"}, 3)])
def test_what_is_asked_of_others_has_no_prompts(arguments: tuple[object, ...]) -> None:
    asked = kit.WorkflowSpec(workflow_id="a", workflow_type="Order", arguments=arguments)

    assert (asked.prompts, dict(asked.steps), dict(asked.ideal)) == ((), {}, {})
    assert kit.WorkflowSpec.model_validate_json(asked.model_dump_json()) == asked
