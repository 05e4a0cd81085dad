"""A peer beside us: the same two paid steps on DBOS, killed by SIGKILL at the same points.

Both make an image, then a video of it, at the same fake API, with the same client. A process that
is killed is started again as soon as it is gone: by its supervisor, or by the harness. The provider
alone is the witness: when it was asked for anything again, when the video was fetched, what it
billed.
"""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec

from benchmarks.bed import DEADLINE_SECONDS, Bed
from benchmarks.figures import Found, Quantity, Row, Table, seconds
from benchmarks.points import BY_ITSELF, FOLDER_VARIABLE, Point, arm, died_at
from chaos.environment.factory import ProcessFactory
from chaos.process.waiting import wait_until
from tests.chaos.video import specs
from tests.chaos.video.fake_api.bills import Answered, Billed, Call, Received, Records
from tests.chaos.video.fake_api.breakpoints import BreakAt, BreakpointSpec
from tests.chaos.video.fake_api.control import Breakpoint
from tests.chaos.video.fake_api.rules import When
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec
from tests.chaos.video.target import API
from workflows.fleet.restart_backoff import YOUNG_SECONDS
from workflows.pricing import REFERENCE_IMAGE_MODEL, REFERENCE_VIDEO_MODEL

QUESTION = "Killed at the same points of the same two paid steps: who goes on when, and pays what?"

DBOS, OURS = "DBOS", "supervisor of one"
ENGINES = (DBOS, OURS)
IDEAL_CALLS = 2

GOES_ON, FETCHED, PAID = "goes on", "video fetched", "paid calls"

_DYING_WORKER = shlex.join((sys.executable, "-m", "benchmarks.dying_worker"))
_BREAK_AT = {
    Point.IN_IMAGE: BreakAt.IMAGE,
    Point.IN_VIDEO: BreakAt.VIDEO_START,
    Point.AWAITING: BreakAt.VIDEO,
}


@dataclass(frozen=True)
class Trial:
    """One kill: seconds until the provider was asked for anything, and until the video was
    fetched; how many images and videos it billed for this job.
    """

    goes_on: float
    fetched: float
    paid: int


Trials = Mapping[Point, Trial]


@dataclass
class Job:
    """One job, its point, and what holds it there."""

    lab: VideoLab
    spec: VideoSpec
    point: Point
    breakpoint: Breakpoint | None = None

    @property
    def armed(self) -> str:
        """The folder that says where processes kill themselves."""
        return str(self.lab.stack.evidence_folder / "armed")

    async def plan(self) -> None:
        """Before it is started."""
        if self.point in BY_ITSELF:
            arm(self.lab.stack.evidence_folder / "armed", self.spec.workflow_id, self.point)
            return
        prompt = self.spec.prompts[0 if self.point is Point.IN_IMAGE else 1]
        request = BreakpointSpec(call=_BREAK_AT[self.point], match=prompt, when=When.AFTER_BILLING)
        self.breakpoint = await self.lab.api.set_breakpoint(request)

    async def killed(
        self, kill: Callable[[], Awaitable[None]], is_gone: Callable[[], bool]
    ) -> float:
        """Bring it to its point and to the end of its process; when that was killed."""
        if self.breakpoint is None:
            await wait_until(
                is_gone, what=f"{self.spec.workflow_id}'s process is gone", **_PATIENCE
            )
            died = died_at(self.lab.stack.evidence_folder / "armed", self.spec.workflow_id)
            if died is None:
                raise RuntimeError(f"the process of {self.spec.workflow_id} died by itself.")
            return died
        await self.breakpoint.reached(DEADLINE_SECONDS)
        if self.point is Point.AWAITING:
            await self.lab.until_polled(self.spec.video_prompts[0])
        at = time.time()
        await kill()
        await self.breakpoint.resume()
        return at

    async def trial(self, killed_at: float) -> Trial:
        """What the provider saw of it after the kill, once the video is fetched."""
        control = self.lab.api
        found: list[Trial] = []

        async def is_fetched() -> bool:
            seen = trial_of(
                await control.records(), self.spec, datetime.fromtimestamp(killed_at, UTC)
            )
            found.extend([seen] if seen else [])
            return bool(found)

        what = f"the video of {self.spec.workflow_id} is fetched"
        await wait_until(is_fetched, what=what, interval_seconds=0.2, **_PATIENCE)
        return found[0]


_PATIENCE = {"deadline_seconds": DEADLINE_SECONDS}


def trial_of(records: Records, spec: VideoSpec, killed_at: datetime) -> Trial | None:
    """By the provider's books; None while the video is not fetched."""
    bills = [r for r in records if isinstance(r, Billed) and r.prompt in spec.prompts]
    names = {name for bill in bills for name in (bill.operation, bill.file) if name}
    later = [
        r
        for r in records
        if isinstance(r, Received)
        and r.at > killed_at
        and (r.prompt in spec.prompts or {r.operation, r.file} & names)
    ]
    downloads = {r.request_id for r in later if r.call is Call.DOWNLOAD}
    ends = [
        r.at
        for r in records
        if isinstance(r, Answered) and r.request_id in downloads and r.kind == "ok"
    ]
    if not ends:
        return None
    first = min(request.at for request in later)
    since = [(at - killed_at).total_seconds() for at in (first, min(ends))]
    return Trial(goes_on=since[0], fetched=since[1], paid=len(bills))


async def measure(bed: Bed, *, quick: bool) -> Found:
    """One kill at each point, with each engine that is installed here."""
    del quick  # nothing is repeated
    return await kills(bed, tuple(Point), [e for e in ENGINES if e != DBOS or find_spec("dbos")])


async def kills(bed: Bed, points: Sequence[Point], engines: Sequence[str]) -> Found:
    """At these points, one engine after the other."""
    trials: dict[str, Trials] = {}
    async with bed.lab("peer") as lab:
        if DBOS in engines:
            processes = bed.processes(lab)
            trials[DBOS] = {p: await _dbos_trial(lab, processes, p) for p in points}
        if OURS in engines:
            trials[OURS] = await _supervised(lab, points)
    return found(trials)


async def _dbos_trial(lab: VideoLab, processes: ProcessFactory, point: Point) -> Trial:
    """A process of DBOS with a database of its own; it is started again once it is gone."""
    job = Job(lab, specs.single(f"dbos-{point.name}".lower()), point)
    await job.plan()
    name = job.spec.workflow_id
    argv = (sys.executable, "-m", "benchmarks.peer_dbos", name, *job.spec.prompts)
    child = processes.child(name, argv, _dbos_environment(lab, job, processes))
    try:
        child.start()
        killed_at = await job.killed(child.kill, lambda: not child.is_alive)
        child.start()
        trial = await job.trial(killed_at)
        if await child.wait(DEADLINE_SECONDS):
            raise RuntimeError(f"{name} did not end well:\n{child.last_lines()}")
    finally:
        await child.discard()
    return trial


def _dbos_environment(lab: VideoLab, job: Job, processes: ProcessFactory) -> Mapping[str, str]:
    stack = lab.stack
    return {
        "GEMINI_API_KEY": stack.secret,
        "GOOGLE_GEMINI_BASE_URL": f"http://{stack.services[API].port.address}",
        "GEMINI_IMAGE_MODEL": REFERENCE_IMAGE_MODEL,
        "GEMINI_VIDEO_MODEL": REFERENCE_VIDEO_MODEL,
        "VIDEO_POLL_SECONDS": "0.2",
        "ARTIFACTS_DIR": str(stack.evidence_folder / "artifacts"),
        "DBOS_SYSTEM_DATABASE_URL": f"sqlite:///{processes.scratch / job.spec.workflow_id}.db",
        FOLDER_VARIABLE: job.armed,
    }


async def _supervised(lab: VideoLab, points: Sequence[Point]) -> Trials:
    """One supervisor of one worker, which is killed at one point after the other."""
    queue = "supervisor-of-one"
    supervisor = await lab.stack.start_supervisor(
        1,
        task_queue=queue,
        arguments=("--command", _DYING_WORKER),
        settings={FOLDER_VARIABLE: str(lab.stack.evidence_folder / "armed")},
    )

    async def one(point: Point) -> Trial:
        job = Job(lab, specs.single(f"ours-{point.name}".lower()), point)
        await job.plan()
        (pid,) = supervisor.pids

        async def kill() -> None:
            supervisor.signal(pid, signal.SIGKILL)

        await lab.start(job.spec, task_queue=queue)
        killed_at = await job.killed(kill, lambda: pid not in supervisor.pids)
        trial = await job.trial(killed_at)
        await supervisor.until_complete(lab.client)
        await asyncio.sleep(1.25 * YOUNG_SECONDS)  # or it takes the next death for a crash loop
        return trial

    return {point: await one(point) for point in points}


def found(trials: Mapping[str, Trials]) -> Found:
    """The tables of what was measured: a row for each point, a column for each engine."""

    def table(title: str, quantity: Callable[[Trial], Quantity]) -> Table:
        points = next(iter(trials.values()))
        rows = [
            Row(name=p, cells={name: quantity(some[p]) for name, some in trials.items()})
            for p in points
        ]
        return Table(title=title, rows=tuple(rows))

    tables = [
        table(f"{GOES_ON}: SIGKILL to the next request", lambda trial: seconds(trial.goes_on)),
        table(f"{FETCHED}: SIGKILL to the end", lambda trial: seconds(trial.fetched)),
        table(
            f"{PAID} (ideal: {IDEAL_CALLS})",
            lambda trial: Quantity(values=(trial.paid,), unit=""),
        ),
    ]
    if DBOS not in trials:
        return Found(tables=tuple(tables), notes=("Without DBOS: it is not installed here.",))
    return Found(tables=tuple(tables), notes=(f"DBOS {version('dbos')}, with a SQLite file.",))
