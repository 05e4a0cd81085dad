"""How long a killed worker's work stands still: `python -m benchmarks.failover`.

Twenty kills each, in one run and on one server, of a worker that awaits a video, whose rendering
ends with the kill:

- no heartbeat: the activity's start-to-close timeout ends the attempt. It is 60 s here, in place of
  the policy's 30 min, so the real figure is 29 min more.
- heartbeats only: a worker alone; whoever started it starts another at once.
- fleet of one: the fleet starts another process, and has failed the attempt over.
- fleet of two: the other worker stands by.
- fleet of two, killed at once: as soon as the wait has begun, when the server has just set timers
  and so holds a retry back for up to a second. In the other modes the kill comes 3 s later.

Two figures from the server's own history: from the kill to the start of the next attempt, and to
the end of the workflow. Last, how long the failover itself takes with 500 more workflows open. A
table, the raw figures and a plot are left in `reports/`.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.other_policy import START_TO_CLOSE_SECONDS
from chaos import workload
from chaos.binaries import find_temporal_cli
from chaos.cluster.fleet import FleetProcess
from chaos.cluster.stack import Place, Stack, StackSpec
from chaos.evidence import Evidence, Expectation, save_expectations, save_histories
from chaos.fake_api.control import Hold
from chaos.fake_api.holds import HoldRequest, HoldTarget
from chaos.guardian import Guard
from chaos.journal import Journal
from chaos.lab import Lab, Options
from chaos.waiting import wait_until
from workflows.models import SingleVideoInput
from workflows.policies import HEARTBEAT_TIMEOUT

KILLS = 20
OTHERS = 500
STARTS_AT_ONCE = 3
DEADLINE_SECONDS = 240.0
SETTLING_SECONDS = 3.0
"""Between the start of a wait and the kill."""

REPORTS = Path(__file__).parent.parent / "reports"


@dataclass(frozen=True)
class Kill:
    """Seconds after one kill."""

    next_attempt: float
    completion: float


@dataclass(frozen=True)
class Mode:
    """One way to recover, and its kills."""

    name: str
    kills: Sequence[Kill]

    def row(self) -> str:
        """A line of the table: median and worst."""
        nexts = [kill.next_attempt for kill in self.kills]
        ends = [kill.completion for kill in self.kills]
        figures = (statistics.median(nexts), max(nexts), statistics.median(ends), max(ends))
        return f"| {self.name} | {len(nexts)} | " + " | ".join(f"{f:.3f} s" for f in figures) + " |"


@dataclass
class Bench:
    """A stack, and the folder of its evidence."""

    lab: Lab
    folder: Path

    async def awaited(self, name: str, task_queue: str) -> tuple[Expectation, Hold]:
        """Start a workflow and bring it to where it awaits its video."""
        asked = workload.single(name)
        scene = asked.video_prompts[0]
        request = HoldRequest(call=HoldTarget.VIDEO, match=scene)
        hold = await self.lab.stack.api.control.hold(request)
        await self.lab.start(asked, task_queue=task_queue)
        await hold.caught(DEADLINE_SECONDS)
        await self.lab.until_polled(scene)
        return asked, hold

    async def at_work(self, asked: Expectation) -> int:
        """The process that awaits the video."""
        described = await self.lab.client.get_workflow_handle(asked.workflow_id).describe()
        return int(
            described.raw_description.pending_activities[0].last_worker_identity.split("@")[0]
        )

    async def measured(self, asked: Expectation, killed_at: float) -> Kill:
        """Wait for the end, and read the figures from the history."""
        await wait_until(
            lambda: self.lab.has_ended(asked.workflow_id),
            what=f"{asked.workflow_id} ends",
            deadline_seconds=DEADLINE_SECONDS,
        )
        await save_histories(self.lab.client, self.folder, [asked.workflow_id])
        save_expectations(self.folder, [asked])
        workflow = Evidence.load(self.folder).workflows[asked.workflow_id]
        again = [a.started_at for a in workflow.activities if a.attempt > 1 and a.started_at]
        if len(again) != 1 or workflow.closed_at is None or workflow.status != "completed":
            raise RuntimeError(f"{asked.workflow_id} was not hit once and completed: {workflow}")
        return Kill(again[0].timestamp() - killed_at, workflow.closed_at.timestamp() - killed_at)


async def alone(bench: Bench, name: str, argv: Sequence[str] | None) -> Mode:
    """Workers without a fleet, each on a queue of its own; a successor is started at once."""
    starts = asyncio.Semaphore(STARTS_AT_ONCE)

    async def one(number: int) -> Kill:
        queue = f"{name}-{number}"
        async with starts:
            worker = await bench.lab.worker(task_queue=queue, argv=argv)
        asked, hold = await bench.awaited(queue, queue)
        await asyncio.sleep(SETTLING_SECONDS)
        killed_at = time.time()
        await bench.lab.strike(worker.child, signal.SIGKILL)
        await hold.release()
        async with starts:
            successor = await bench.lab.worker(task_queue=queue, argv=argv)
        kill = await bench.measured(asked, killed_at)
        await successor.child.kill()
        return kill

    kills = await asyncio.gather(*(one(number) for number in range(KILLS)))
    return Mode(name.replace("-", " "), kills)


async def in_fleet(
    bench: Bench, name: str, workers: int, settling_seconds: float = SETTLING_SECONDS
) -> tuple[Mode, FleetProcess]:
    """One kill after the other in the same fleet."""
    queue = "-".join(re.findall(r"\w+", name))
    fleet = await bench.lab.stack.start_fleet(workers, task_queue=queue)
    kills = []
    for number in range(KILLS):
        asked, hold = await bench.awaited(f"{queue}-{number}", queue)
        await asyncio.sleep(settling_seconds)
        kills.append(await _kill_in_fleet(bench, fleet, asked, hold))
    return Mode(name, kills), fleet


async def _kill_in_fleet(bench: Bench, fleet: FleetProcess, asked: Expectation, hold: Hold) -> Kill:
    pid = await bench.at_work(asked)
    killed_at = time.time()
    fleet.strike(pid, signal.SIGKILL)
    await hold.release()
    kill = await bench.measured(asked, killed_at)
    await fleet.until_complete(bench.lab.client)
    return kill


async def handovers(bench: Bench, fleet: FleetProcess) -> dict[str, list[float]]:
    """Milliseconds that a failover takes, without and with many more workflows in the caches."""
    found: dict[str, list[float]] = {}
    for others in (0, OTHERS):
        await _open_others(bench, fleet.task_queue, others)
        before = len(_milliseconds(fleet))
        for number in range(5):
            asked, hold = await bench.awaited(f"among-{others}-{number}", fleet.task_queue)
            await asyncio.sleep(SETTLING_SECONDS)
            await _kill_in_fleet(bench, fleet, asked, hold)
        found[f"{others} more workflows"] = _milliseconds(fleet)[before:]
    return found


async def _open_others(bench: Bench, task_queue: str, count: int) -> None:
    """Workflows that wait in the caches of the workers, paused before their first paid step."""
    asked = SingleVideoInput(character_prompt="nobody", video_prompt="nothing")
    for number in range(count):
        await bench.lab.client.start_workflow(
            "SingleVideo", asked, id=f"other-{number}", task_queue=task_queue, start_signal="pause"
        )


def _milliseconds(fleet: FleetProcess) -> list[float]:
    return [
        float(ms) for ms in re.findall(r"failed_over=1 in_ms=(\d+)", fleet.child.log.read_text())
    ]


async def measure(guard: Guard) -> None:
    """All modes in turn on one server, then the reports."""
    folder = guard.folder / "benchmark"
    (folder / "scratch").mkdir(parents=True)
    cli = find_temporal_cli(None, announce=print).path
    journal = Journal(folder / "evidence" / "journal.jsonl", lambda _: None)
    place = Place(guard.mark, folder / "scratch", folder / "evidence", cli)
    try:
        async with Stack(StackSpec(), place, journal) as stack:
            bench = Bench(Lab(stack, journal, Options()), folder / "evidence")
            argv = (sys.executable, "-m", "benchmarks.other_policy", "no-heartbeat")
            modes = [
                await alone(bench, "no-heartbeat", argv),
                await alone(bench, "heartbeats-only", None),
            ]
            modes.append((await in_fleet(bench, "fleet of one", 1))[0])
            mode, fleet = await in_fleet(bench, "fleet of two", 2)
            at_once, _ = await in_fleet(bench, "fleet of two, killed at once", 2, 0.0)
            modes += [mode, at_once]
            _report(modes, await handovers(bench, fleet))
    finally:
        journal.close()


def _report(modes: Sequence[Mode], cost: dict[str, list[float]]) -> None:
    heartbeat = HEARTBEAT_TIMEOUT.total_seconds()
    setting = (
        f"Heartbeat timeout {heartbeat:g} s, retry after 10 s. No heartbeat: start-to-close is "
        f"{START_TO_CLOSE_SECONDS:g} s in place of 30 min."
    )
    lines = [
        setting,
        "",
        "| recovery | kills | next attempt, median | worst | completion, median | worst |",
        "|---|---|---|---|---|---|",
        *(mode.row() for mode in modes),
        "",
        "| failover takes | median | worst |",
        "|---|---|---|",
        *(
            f"| {name} | {statistics.median(ms):.0f} ms | {max(ms):.0f} ms |"
            for name, ms in cost.items()
        ),
    ]
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "failover.md").write_text("\n".join(lines) + "\n")
    raw = {"modes": [asdict(mode) for mode in modes], "failover_ms": cost}
    (REPORTS / "failover.json").write_text(json.dumps(raw, indent=1) + "\n")
    _plot(modes).savefig(REPORTS / "failover.svg")
    print("\n".join(lines))  # noqa: T201 - it says what it found


def _plot(modes: Sequence[Mode]) -> Figure:
    """Every kill as a dot, on a logarithmic scale: the modes lie three powers of ten apart."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    for row, mode in enumerate(reversed(modes)):
        nexts = [kill.next_attempt for kill in mode.kills]
        ends = [kill.completion for kill in mode.kills]
        axes.plot(nexts, [row + 0.1] * len(nexts), "o", alpha=0.5, color="tab:blue")
        axes.plot(ends, [row - 0.1] * len(ends), "s", alpha=0.5, color="tab:orange", markersize=4)
    axes.plot([], [], "o", color="tab:blue", label="next attempt")
    axes.plot([], [], "s", color="tab:orange", markersize=4, label="workflow complete")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("seconds after the kill")
    axes.set_yticks(range(len(modes)), [mode.name for mode in reversed(modes)])
    axes.grid(axis="x", which="both", alpha=0.3)
    axes.legend(loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.18), frameon=False)
    return figure


if __name__ == "__main__":
    with Guard() as started:
        asyncio.run(measure(started))
