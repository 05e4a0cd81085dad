"""The workers of a stack, measured: what is written, and that nothing comes of a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.environment.metrics import Reading, ScrapeError
from chaos.evidence.samples import SERVED, WORKER_CPU, WORKER_MEMORY, SampleFile, read_samples
from chaos.experiment import gauges as module
from chaos.experiment.gauges import Gauges, _below, gauged


def _stack(file: SampleFile, ports: dict[str, list[int]] | None = None, prefix: str = "") -> Any:
    alive = SimpleNamespace(is_alive=True, name="worker-1", pid=os.getpid())
    gone = SimpleNamespace(is_alive=False, name="worker-2", pid=2**22 + 1)
    return SimpleNamespace(
        samples=file,
        workers=[SimpleNamespace(child=alive), SimpleNamespace(child=gone)],
        supervisors=[],
        metrics_ports={
            name: [SimpleNamespace(number=each) for each in given]
            for name, given in (ports or {}).items()
        },
        temporal=SimpleNamespace(prefix=prefix),
    )


def _answering(monkeypatch: pytest.MonkeyPatch, answers: dict[int, Any]) -> None:
    async def scrape(port: int) -> Sequence[Reading]:
        answer = answers[port]
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(module, "scrape", scrape)


async def test_a_workers_cpu_time_and_memory_are_those_of_its_processes(tmp_path: Path) -> None:
    with closing(SampleFile(tmp_path)) as file:
        await Gauges(_stack(file)).take()

    found = {sample.name: sample for sample in read_samples(tmp_path)}
    assert found.keys() == {WORKER_CPU, WORKER_MEMORY}
    assert found[WORKER_CPU].labels == {"worker": "worker-1", "pid": str(os.getpid())}
    assert found[WORKER_CPU].value > 0
    assert found[WORKER_MEMORY].value > 10_000_000


async def test_only_what_changed_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Reading("request", {"operation": "Poll", "task_queue": "run-1-orders"}, 3)
    answers: dict[int, Any] = {1: [request]}
    _answering(monkeypatch, answers)
    with closing(SampleFile(tmp_path)) as file:
        gauges = Gauges(_stack(file, {"worker-1": [1]}, prefix="run-1-"))
        await gauges.take()
        await gauges.take()
        answers[1] = ScrapeError("it was killed")
        await gauges.take()
        await gauges.take()
        answers[1] = [request]
        await gauges.take()

    found = [s for s in read_samples(tmp_path) if s.name in {SERVED, "request"}]
    assert [(sample.name, sample.value) for sample in found] == [
        (SERVED, 1),
        ("request", 3),
        (SERVED, 0),
        (SERVED, 1),
    ]
    assert found[1].labels == {"worker": "worker-1", "operation": "Poll", "task_queue": "orders"}


async def test_each_worker_of_a_supervisor_has_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(monkeypatch, {1: [Reading("request", {}, 3)], 2: ScrapeError("not yet")})
    with closing(SampleFile(tmp_path)) as file:
        await Gauges(_stack(file, {"fleet-1": [1, 2]})).take()

    served = {s.labels["worker"]: s.value for s in read_samples(tmp_path) if s.name == SERVED}
    assert served == {"fleet-1-worker-1": 1, "fleet-1-worker-2": 0}


@pytest.mark.parametrize(
    "reading",
    [
        Reading("request", {}, float("inf")),
        Reading("latency_seconds", {}, 1.0, count=float("inf")),
        Reading("latency_seconds", {}, 1.0, count=1, buckets={"1": float("inf")}),
    ],
)
async def test_sums_that_are_no_number_are_left_out(
    reading: Reading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(monkeypatch, {1: [reading]})
    with closing(SampleFile(tmp_path)) as file:
        await Gauges(_stack(file, {"worker-1": [1]})).take()

    assert {s.name for s in read_samples(tmp_path)} == {WORKER_CPU, WORKER_MEMORY, SERVED}


async def test_no_failure_breaks_what_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(monkeypatch, {1: RuntimeError("a mistake of ours")})
    with closing(SampleFile(tmp_path)) as file:
        async with gauged(_stack(file, {"worker-1": [1]})):
            pass
        with pytest.raises(ZeroDivisionError):
            async with gauged(_stack(file)):
                raise ZeroDivisionError


def test_all_that_descends_from_a_worker_is_its_own() -> None:
    inner = "import sys; print(1, flush=True); sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    argv = [sys.executable, "-c", outer]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        child.stdout.readline()  # the one below it runs

        found = {*_below(os.getpid())}

        assert child.pid in found
        assert {*_below(child.pid)} < found
        assert len({*_below(child.pid)}) == 1
