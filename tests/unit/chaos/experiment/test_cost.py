from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import History

from chaos.evidence.bills import Bill, PaidRequest
from chaos.evidence.case import Evidence
from chaos.evidence.journal import Event
from chaos.experiment.cost import (
    billed_usd,
    ideal_usd,
    possible_waste_usd,
    saved_usd,
    waste_usd,
)
from chaos.experiment.judge import judge
from chaos.experiment.results import (
    Overall,
    RunResult,
    ScenarioResult,
    case_result,
    scenario_result,
)
from chaos.report.table import cost, cost_table_lines, in_doubt_lines, outcome, usd
from tests.chaos.video.fake_api.bills import Item
from tests.chaos.video.scenarios.catalogue import all_scenarios

SCENARIOS = {scenario.name: scenario for scenario in all_scenarios()}
FIXTURES = ("worker_crash", "retry_config", "server_restart", "checkpoint", "concurrency")
SENT_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

WithHistory = Callable[[Evidence, str, Callable[[History], None]], Evidence]


def _bill(evidence: Evidence, item: Item, number: int = 0) -> Bill:
    return [bill for bill in evidence.bills if bill.item == item][number]


def _fault_at(evidence: Evidence) -> datetime:
    return next(entry.at for entry in evidence.journal if entry.event is Event.FAULT)


def _billed_too(evidence: Evidence, bill: Bill) -> Evidence:
    return replace(evidence, bills=[*evidence.bills, bill])


def _fault_moved_to(evidence: Evidence, at: datetime, kind: str = "kill") -> Evidence:
    journal = [
        entry.model_copy(update={"at": at, "kind": kind}) if entry.event is Event.FAULT else entry
        for entry in evidence.journal
    ]
    return replace(evidence, journal=journal)


def _request(**fields: object) -> PaidRequest:
    """The workers' record of the image in flight when the first worker of `worker_crash` died."""
    request = PaidRequest(
        operation_id="crash-single",
        step="character",
        number=1,
        item="image",
        cost_usd=Decimal("0.039"),
        state="ambiguous",
        sent_at=SENT_AT,
        reason="no outcome before the deadline",
        key="a portrait of the hero of crash-single",
        in_doubt=True,
    )
    return request.model_copy(update=fields)


def _scenario(name: str, *evidences: Evidence, numbers: tuple[int, ...] = (0,)) -> ScenarioResult:
    scenario = SCENARIOS[name]
    results = []
    for number, evidence in zip(numbers, evidences, strict=True):
        case, root = scenario.cases[number], evidence.folder.parents[1]
        findings = judge(case, evidence)
        results.append(case_result(case, evidence, findings, root=root, duration_s=1.0))
    return scenario_result(scenario, results)


def _run(*scenarios: ScenarioResult) -> RunResult:
    return RunResult(
        run_id="2026-01-02T03-04-05Z",
        started_at=SENT_AT,
        versions={"python": "3.11"},
        scenarios=scenarios,
        overall=Overall(passed=len(scenarios), total=len(scenarios)),
    )


@pytest.fixture
def doubtful(worker_crash: Evidence) -> Evidence:
    """The crash with what the workers' record says of it: one request in doubt, then the rest."""
    done = {"state": "done", "reason": None, "in_doubt": False}
    requests = (
        _request(),
        _request(number=2, **done),
        _request(step="video-001", item="video", cost_usd=Decimal("1.20"), **done),
    )
    return replace(worker_crash, paid_requests=requests)


def test_checkpoints_save_the_character_and_two_videos_of_a_series(checkpoint: Evidence) -> None:
    assert saved_usd(checkpoint) == Decimal("2.439")
    assert usd(saved_usd(checkpoint)) == "$2.44"


@pytest.mark.parametrize("kind", ["kill", "terminate"])
def test_a_fault_of_the_server_saves_what_was_paid_for_before_it(
    server_restart: Evidence, kind: str
) -> None:
    moved = _fault_moved_to(server_restart, _fault_at(server_restart), kind)

    assert saved_usd(moved) == Decimal("1.239")


def test_each_fault_counts_by_itself_and_a_prompt_billed_twice_before_it_once(
    worker_crash: Evidence,
) -> None:
    # Nothing was billed before the first kill; two images and a video before the second.
    assert billed_usd(worker_crash) == Decimal("1.278")
    assert saved_usd(worker_crash) == Decimal("1.239")


@pytest.mark.parametrize("name", ["concurrency", "retry_config"])
def test_where_no_process_is_hit_nothing_is_saved(
    name: str, request: pytest.FixtureRequest
) -> None:
    assert saved_usd(request.getfixturevalue(name)) == 0


def test_a_fault_of_the_api_saves_nothing(checkpoint: Evidence) -> None:
    assert saved_usd(_fault_moved_to(checkpoint, _fault_at(checkpoint), "status_503")) == 0


def test_what_is_billed_again_after_the_fault_is_not_saved(checkpoint: Evidence) -> None:
    first = _bill(checkpoint, Item.VIDEO)
    again = first.model_copy(update={"at": _fault_at(checkpoint) + timedelta(seconds=1)})

    assert saved_usd(_billed_too(checkpoint, again)) == Decimal("1.239")


def test_what_is_made_again_for_nothing_is_still_saved(checkpoint: Evidence) -> None:
    free = _bill(checkpoint, Item.VIDEO).model_copy(
        update={"at": _fault_at(checkpoint) + timedelta(seconds=1), "amount_usd": Decimal(0)}
    )

    assert saved_usd(_billed_too(checkpoint, free)) == Decimal("2.439")


def test_what_is_first_billed_after_the_fault_is_not_saved(checkpoint: Evidence) -> None:
    early = _bill(checkpoint, Item.VIDEO).at

    assert saved_usd(_fault_moved_to(checkpoint, early)) == Decimal("0.039")


def test_a_workflow_that_had_ended_before_the_fault_saves_nothing(checkpoint: Evidence) -> None:
    ended = checkpoint.workflows["checkpoint-series"].closed_at

    assert ended
    assert saved_usd(_fault_moved_to(checkpoint, ended + timedelta(seconds=1))) == 0
    assert saved_usd(_fault_moved_to(checkpoint, ended - timedelta(microseconds=1))) == billed_usd(
        checkpoint
    )


def test_a_workflow_that_began_after_the_fault_saves_nothing(checkpoint: Evidence) -> None:
    fault_at = checkpoint.workflows["checkpoint-series"].started_at - timedelta(seconds=1)
    paid = [
        bill.model_copy(update={"at": fault_at - timedelta(seconds=1)}) for bill in checkpoint.bills
    ]

    assert saved_usd(replace(_fault_moved_to(checkpoint, fault_at), bills=paid)) == 0


def test_a_workflow_that_never_completes_saves_nothing(
    checkpoint: Evidence, with_history: WithHistory
) -> None:
    def cut(history: History) -> None:
        del history.events[-1]

    def fail(history: History) -> None:
        history.events[-1].event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED

    for edit in (cut, fail):
        assert saved_usd(with_history(checkpoint, "checkpoint-series", edit)) == 0


def test_a_lost_workflow_saves_nothing(control: Evidence) -> None:
    assert billed_usd(control) == Decimal("1.239")
    assert saved_usd(control) == 0


@pytest.mark.parametrize("name", FIXTURES)
def test_only_the_image_that_was_in_flight_is_wasted(
    name: str, request: pytest.FixtureRequest
) -> None:
    evidence = request.getfixturevalue(name)

    wasted = Decimal("0.039") if name == "worker_crash" else Decimal(0)
    assert waste_usd(evidence) == wasted == billed_usd(evidence) - ideal_usd(evidence)


def test_a_doubled_bill_is_waste(checkpoint: Evidence) -> None:
    doubled = _billed_too(checkpoint, _bill(checkpoint, Item.VIDEO))

    assert waste_usd(doubled) == Decimal("1.20")


def test_a_bill_that_nobody_asked_for_is_waste(checkpoint: Evidence) -> None:
    stray = _bill(checkpoint, Item.IMAGE).model_copy(update={"key": "something else"})

    assert waste_usd(_billed_too(checkpoint, stray)) == Decimal("0.039")


@pytest.mark.parametrize("free", [False, True], ids=["missing", "at no price"])
def test_a_missing_bill_does_not_hide_a_doubled_one(checkpoint: Evidence, free: bool) -> None:
    lost, doubled = (_bill(checkpoint, Item.VIDEO, number) for number in (0, 1))
    bills = [*(bill for bill in checkpoint.bills if bill != lost), doubled]
    if free:
        bills.append(lost.model_copy(update={"amount_usd": Decimal(0)}))

    result = _scenario("checkpoint", replace(checkpoint, bills=bills))

    assert result.cost_usd == result.ideal_cost_usd
    assert result.waste_usd == Decimal("1.20")
    assert cost(result) == "$3.64 (ideal $3.64, waste $1.20, missing $1.20)"


@pytest.mark.parametrize("in_doubt", [True, False])
def test_only_requests_without_a_use_are_possible_waste(
    worker_crash: Evidence, in_doubt: bool
) -> None:
    requests = (_request(in_doubt=in_doubt), _request(number=2, in_doubt=False))
    doubts = replace(worker_crash, paid_requests=requests).in_doubt

    assert bool(doubts) is in_doubt
    assert possible_waste_usd(doubts) == (Decimal("0.039") if in_doubt else 0)


def test_an_ambiguous_call_is_listed_with_its_cost_and_why(doubtful: Evidence) -> None:
    result = _scenario("worker_crash", doubtful)

    assert result.model_dump(mode="json")["ambiguous"] == [
        {
            "operation_id": "crash-single",
            "step": "character",
            "number": 1,
            "item": "image",
            "cost_usd": "0.039",
            "state": "ambiguous",
            "reason": "no outcome before the deadline",
            "sent_at": "2026-01-02T03:04:05Z",
        }
    ]
    (line,) = in_doubt_lines(_run(result))
    assert line == (
        "worker_crash/sigkill_twice: crash-single, character, request 1, $0.039, in doubt: "
        "no outcome before the deadline"
    )
    assert [line] in outcome(_run(result))


def test_the_results_carry_the_costs_of_the_case_and_of_the_scenario(doubtful: Evidence) -> None:
    found = _scenario("worker_crash", doubtful).model_dump(mode="json")

    for part in (found, found["cases"][0]):
        assert part["waste_usd"] == "0.039"
        assert part["possible_waste_usd"] == "0.039"
        assert part["saved_usd"] == "1.239"
        assert len(part["ambiguous"]) == 1


def test_a_control_counts_in_no_cost(server_restart: Evidence, control: Evidence) -> None:
    restart = _request(operation_id="restart-single")
    wasteful = _billed_too(control, _bill(control, Item.VIDEO))
    result = _scenario(
        "server_restart",
        server_restart,
        replace(wasteful, paid_requests=(restart,)),
        numbers=(0, 2),
    )

    assert result.cases[1].waste_usd == Decimal("1.20")
    assert result.cases[1].possible_waste_usd == Decimal("0.039")
    assert result.waste_usd == result.possible_waste_usd == 0
    assert result.saved_usd == result.cost_usd == Decimal("1.239")
    assert (result.ambiguous, len(result.workflows), result.status) == ((), 1, "complete")
    assert in_doubt_lines(_run(result)) == []


def test_the_cost_table_ends_with_the_total(doubtful: Evidence, checkpoint: Evidence) -> None:
    run = _run(_scenario("worker_crash", doubtful), _scenario("checkpoint", checkpoint))

    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in cost_table_lines(run)]

    assert cells[0] == [
        "Test",
        "Billed",
        "Ideal",
        "Waste",
        "Possible waste",
        "Saved by checkpoints",
    ]
    assert cells[2:] == [
        ["1. Worker Crash Recovery", "$1.28", "$1.24", "$0.039", "$0.039", "$1.24"],
        ["4. Checkpoint Recovery", "$3.64", "$3.64", "$0.00", "$0.00", "$2.44"],
        ["Total", "$4.92", "$4.88", "$0.039", "$0.039", "$3.68"],
    ]
