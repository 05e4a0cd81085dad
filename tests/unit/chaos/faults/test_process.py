"""Which worker a fault of one means, and how the journal calls it."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from chaos.faults import AnyFault, KillWorker, OutOfMemory, PauseWorker, StopWorker

FAULT: TypeAdapter[AnyFault] = TypeAdapter(AnyFault)


def test_a_worker_with_a_name_is_called_by_it() -> None:
    assert KillWorker(worker="worker-2").target == "worker-2"
    assert OutOfMemory(worker="worker-1", more_bytes=1).target == "worker-1"


def test_the_workers_of_a_supervisor_share_a_name() -> None:
    assert PauseWorker(place=2).target == "fleet-1-worker"


@pytest.mark.parametrize("which", [{}, {"place": 0, "worker": "worker-1"}, {"place": -1}], ids=str)
def test_a_fault_means_one_worker(which: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FAULT.validate_python({"type": "kill_worker", **which})


def test_a_fault_of_an_older_schedule_means_the_same_worker() -> None:
    assert FAULT.validate_python({"type": "pause_worker", "place": 1}) == PauseWorker(place=1)


@pytest.mark.parametrize("seconds", [-1, float("inf")])
def test_a_stop_has_a_grace_that_ends(seconds: float) -> None:
    assert StopWorker(worker="worker-1", grace_seconds=0).kind == "terminate"
    with pytest.raises(ValidationError):
        StopWorker(worker="worker-1", grace_seconds=seconds)
