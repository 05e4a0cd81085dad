"""Histories in files, and how much a worker had of one at each of its workflow tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaos.evidence.exported import HistoryError, find_exported

_ORDERS = Path(__file__).parents[3] / "data" / "orders"
_KILLED = _ORDERS / "worker_dies_charging/sigkill/histories/order-killed.run-1.json"

Content = dict[str, Any]


def test_a_worker_got_it_up_to_the_start_of_each_task() -> None:
    (history,) = find_exported([_KILLED])

    assert (history.workflow_id, history.kind) == ("order-killed", "Order")
    assert history.lengths == [3, 9, 15, 17]
    ends = [json.loads(history.up_to(n))["events"][-1]["eventType"] for n in history.lengths]
    assert ends == 3 * ["EVENT_TYPE_WORKFLOW_TASK_STARTED"] + [
        "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"
    ]


def test_one_that_ends_at_a_task_is_there_once(tmp_path: Path) -> None:
    (whole,) = find_exported([_KILLED])
    file = tmp_path / "open.json"
    file.write_text(whole.up_to(9))

    (history,) = find_exported([file])

    assert history.lengths == [3, 9]


def test_types_of_old_exports_are_known(tmp_path: Path) -> None:
    content = json.loads(_KILLED.read_text())
    for event in content["events"]:
        words = event["eventType"].removeprefix("EVENT_TYPE_").split("_")
        event["eventType"] = "".join(map(str.capitalize, words))
    (tmp_path / "old.json").write_text(json.dumps(content))

    (history,) = find_exported([tmp_path])

    assert history.lengths == [3, 9, 15, 17]


def test_a_folder_may_hold_other_files_and_leave_some_out() -> None:
    found = list(find_exported([_ORDERS], left_out=[_ORDERS / "server_restarts"]))

    assert sorted(each.workflow_id for each in found) == ["order-hung-up", "order-killed"]


def _no_start(content: Content) -> None:
    del content["events"][0]


def _gap(content: Content) -> None:
    del content["events"][5]


def _no_end_of_a_task(content: Content) -> None:
    del content["events"][3]
    for number, event in enumerate(content["events"], 1):
        event["eventId"] = str(number)


def _no_run(content: Content) -> None:
    del content["events"][0]["workflowExecutionStartedEventAttributes"]["originalExecutionRunId"]


def _no_events(content: Content) -> None:
    content["events"] = []


def _start_is_a_list(content: Content) -> None:
    content["events"][0]["workflowExecutionStartedEventAttributes"] = [1]


def _type_is_a_text(content: Content) -> None:
    content["events"][0]["workflowExecutionStartedEventAttributes"]["workflowType"] = "Order"


def _type_is_a_list(content: Content) -> None:
    kind = content["events"][0]["workflowExecutionStartedEventAttributes"]["workflowType"]
    kind["name"] = ["Order"]


@pytest.mark.parametrize(
    "spoil",
    [
        *(_no_start, _gap, _no_end_of_a_task, _no_run, _no_events),
        *(_start_is_a_list, _type_is_a_text, _type_is_a_list),
    ],
)
def test_what_no_server_sends_is_refused(spoil: Callable[[Content], None], tmp_path: Path) -> None:
    content = json.loads(_KILLED.read_text())
    spoil(content)
    file = tmp_path / "spoilt.json"
    file.write_text(json.dumps(content))

    with pytest.raises(HistoryError, match=r"spoilt\.json is no history of a workflow: .+"):
        list(find_exported([file]))


def test_one_that_was_cut_off_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text(_KILLED.read_text()[:-100])

    with pytest.raises(HistoryError, match="it is no JSON"):
        list(find_exported([tmp_path]))


def test_a_path_without_a_history_is_named(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")

    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "results.json"):
        with pytest.raises(HistoryError, match=path.name):
            list(find_exported([path]))


def test_one_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "nested.json"
    file.write_text('{"events":' + "[" * 100_000)

    with pytest.raises(HistoryError, match="it is no JSON"):
        list(find_exported([file]))
