"""A peer beside us: the same two paid steps on DBOS, killed by SIGKILL at the same points.

All make an image, then a video of it, at the same fake API, with the same client. Whoever is killed
is started again as soon as the process is gone: by its fleet, or by the harness. The witness is the
provider alone: when it was asked for anything again, when the video was fetched, what it billed.
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

from matplotlib.figure import Figure

from benchmarks import plots
from benchmarks.bed import Bed
from benchmarks.figures import Found, Quantity, Row, Table, seconds
from benchmarks.points import BY_ITSELF, FOLDER_VARIABLE, Point, arm, died_at
from chaos.environment.factory import ProcessFactory
from chaos.process.child import Child
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

NAME = "peer"
TITLE = "A peer: DBOS"
QUESTION = "Killed at the same points of the same two paid steps: who goes on when, and pays what?"

DBOS, FLEET, HEARTBEATS, PLAIN = "DBOS", "fleet of one", "heartbeats only", "no ledger"
ENGINES = (DBOS, FLEET, HEARTBEATS, PLAIN)
_QUICK_ENGINES = frozenset({DBOS, FLEET})
STARTS_AT_ONCE = 2
DEADLINE_SECONDS = 120.0
IDEAL_CALLS = 2

GOES_ON, FETCHED, PAID = "goes on", "video fetched", "paid calls"

_PEER = """
with a SQLite file: a library in the process, which needs no server. At its launch a process puts
what it left pending into a queue, which is asked about every second by default.
"""
_NOTES = """
Fleet of one: this project's supervisor and ledger. Heartbeats only: the same worker, started again
by the harness. No ledger: likewise, and it pays as a plain Temporal worker would.

A request in flight is billed before the kill, and its reply is lost; nobody can know that. All of
them pay twice then. Only the ledger says so: it calls the request ambiguous, and can be told to ask
a person first (IN_DOUBT_POLICY=ask).

DBOS and plain Temporal promise each step at least once: what was done and not yet reported is done,
and paid for, once more. The ledger makes the difference, not the engine; it would do so with DBOS.

Where the peer is better: it needs no server and no supervisor that knows it; it goes on about as
soon as its process has started, while heartbeats take their timeout and the retry. Where it is
not: no other process takes over by itself; that takes DBOS Conductor, which waits 60 s by default.
"""

_DOOMED = (sys.executable, "-m", "benchmarks.doomed")
_HOLDS = {
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


Trials = Mapping[Point, Sequence[Trial]]


@dataclass
class Job:
    """One job, its point, and what holds it there."""

    lab: VideoLab
    asked: VideoSpec
    point: Point
    hold: Breakpoint | None = None

    @property
    def armed(self) -> str:
        """The folder that says where processes kill themselves."""
        return str(self.lab.stack.evidence_folder / "armed")

    async def plan(self) -> None:
        """Before it is started."""
        if self.point in BY_ITSELF:
            arm(self.lab.stack.evidence_folder / "armed", self.asked.workflow_id, self.point)
            return
        prompt = self.asked.prompts[0 if self.point is Point.IN_IMAGE else 1]
        request = BreakpointSpec(call=_HOLDS[self.point], match=prompt, when=When.AFTER_BILLING)
        self.hold = await self.lab.api.set_breakpoint(request)

    async def killed(
        self, kill: Callable[[], Awaitable[None]], is_gone: Callable[[], bool]
    ) -> float:
        """Bring it to its point and to the end of its process; when that was killed."""
        if self.hold is None:
            await wait_until(
                is_gone, what=f"{self.asked.workflow_id}'s process is gone", **_PATIENCE
            )
            died = died_at(self.lab.stack.evidence_folder / "armed", self.asked.workflow_id)
            if died is None:
                raise RuntimeError(f"the process of {self.asked.workflow_id} died by itself.")
            return died
        await self.hold.reached(DEADLINE_SECONDS)
        if self.point is Point.AWAITING:
            await self.lab.until_polled(self.asked.video_prompts[0])
        at = time.time()
        await kill()
        await self.hold.resume()
        return at

    async def trial(self, killed_at: float) -> Trial:
        """What the provider saw of it after the kill, once the video is fetched."""
        control = self.lab.api
        found: list[Trial] = []

        async def is_fetched() -> bool:
            seen = trial_of(
                await control.records(), self.asked, datetime.fromtimestamp(killed_at, UTC)
            )
            found.extend([seen] if seen else [])
            return bool(found)

        what = f"the video of {self.asked.workflow_id} is fetched"
        await wait_until(is_fetched, what=what, interval_seconds=0.2, **_PATIENCE)
        return found[0]


_PATIENCE = {"deadline_seconds": DEADLINE_SECONDS}


def trial_of(records: Records, asked: VideoSpec, killed_at: datetime) -> Trial | None:
    """By the provider's books; None while the video is not fetched."""
    bills = [r for r in records if isinstance(r, Billed) and r.prompt in asked.prompts]
    names = {name for bill in bills for name in (bill.operation, bill.file) if name}
    later = [
        r
        for r in records
        if isinstance(r, Received)
        and r.at > killed_at
        and (r.prompt in asked.prompts or {r.operation, r.file} & names)
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
    """One kill at each point, with each engine that is here; `quick`: that needs no heartbeat."""
    here = [name for name in ENGINES if name != DBOS or find_spec("dbos")]
    engines = [name for name in here if name in _QUICK_ENGINES] if quick else here
    return await kills(bed, tuple(Point), 1, engines)


async def kills(bed: Bed, points: Sequence[Point], count: int, engines: Sequence[str]) -> Found:
    """At these points. What recovers at once has the machine for itself; what waits for a
    heartbeat does so side by side.
    """
    async with bed.lab(NAME) as lab:
        site = bed.site(lab)
        ways: Mapping[str, Callable[[], Awaitable[Trials]]] = {
            DBOS: lambda: _dbos(lab, site, points, count),
            FLEET: lambda: _fleet(lab, points, count),
            HEARTBEATS: lambda: _alone(lab, "heartbeats", _DOOMED, points, count),
            PLAIN: lambda: _alone(lab, "no-ledger", (*_DOOMED, "no-ledger"), points, count),
        }
        trials = {name: await ways[name]() for name in engines if name in _QUICK_ENGINES}
        rest = [name for name in engines if name not in trials]
        trials |= zip(rest, await asyncio.gather(*(ways[name]() for name in rest)), strict=True)
    return found(trials)


async def _dbos(lab: VideoLab, site: ProcessFactory, points: Sequence[Point], count: int) -> Trials:
    """One process after the other, each with a database of its own."""
    return {
        point: [await _dbos_trial(lab, site, point, n) for n in range(count)] for point in points
    }


async def _dbos_trial(lab: VideoLab, site: ProcessFactory, point: Point, number: int) -> Trial:
    """A process of DBOS with a database of its own; it is started again once it is gone."""
    job = Job(lab, specs.single(f"dbos-{point.name}-{number}".lower()), point)
    await job.plan()
    name = job.asked.workflow_id
    argv = (sys.executable, "-m", "benchmarks.peer_dbos", name, *job.asked.prompts)
    child = site.child(name, argv, _dbos_environment(lab, job, site))
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


def _dbos_environment(lab: VideoLab, job: Job, site: ProcessFactory) -> Mapping[str, str]:
    stack = lab.stack
    return {
        "GEMINI_API_KEY": stack.secret,
        "GOOGLE_GEMINI_BASE_URL": f"http://{stack.services[API].port.address}",
        "GEMINI_IMAGE_MODEL": REFERENCE_IMAGE_MODEL,
        "GEMINI_VIDEO_MODEL": REFERENCE_VIDEO_MODEL,
        "VIDEO_POLL_SECONDS": "0.2",
        "ARTIFACTS_DIR": str(stack.evidence_folder / "artifacts"),
        "DBOS_SYSTEM_DATABASE_URL": f"sqlite:///{site.scratch / job.asked.workflow_id}.db",
        FOLDER_VARIABLE: job.armed,
    }


async def _fleet(lab: VideoLab, points: Sequence[Point], count: int) -> Trials:
    """One fleet of one worker, which is killed at one point after the other."""
    queue = "fleet-of-one"
    armed = str(lab.stack.evidence_folder / "armed")
    arguments = ("--command", shlex.join(_DOOMED))
    fleet = await lab.stack.start_supervisor(
        1, task_queue=queue, arguments=arguments, settings={FOLDER_VARIABLE: armed}
    )

    async def one(point: Point, number: int) -> Trial:
        job = Job(lab, specs.single(f"fleet-{point.name}-{number}".lower()), point)
        await job.plan()
        (pid,) = fleet.pids

        async def kill() -> None:
            fleet.signal(pid, signal.SIGKILL)

        await lab.start(job.asked, task_queue=queue)
        killed_at = await job.killed(kill, lambda: pid not in fleet.pids)
        trial = await job.trial(killed_at)
        await fleet.until_complete(lab.client)
        await asyncio.sleep(1.25 * YOUNG_SECONDS)  # or it takes the next death for a crash loop
        return trial

    return {point: [await one(point, n) for n in range(count)] for point in points}


async def _alone(
    lab: VideoLab, name: str, argv: Sequence[str], points: Sequence[Point], count: int
) -> Trials:
    """Workers without a fleet, all at once; each is started again once it is gone."""
    starts = asyncio.Semaphore(STARTS_AT_ONCE)
    settings = {FOLDER_VARIABLE: str(lab.stack.evidence_folder / "armed")}

    async def one(point: Point, number: int) -> Trial:
        job = Job(lab, specs.single(f"{name}-{point.name}-{number}".lower()), point)
        queue = job.asked.workflow_id
        await job.plan()
        async with starts:
            worker = await lab.worker(task_queue=queue, argv=argv, settings=settings)
        await lab.start(job.asked, task_queue=queue)
        child: Child = worker.child
        killed_at = await job.killed(child.kill, lambda: not child.is_alive)
        async with starts:
            successor = await lab.worker(task_queue=queue, argv=argv, settings=settings)
        trial = await job.trial(killed_at)
        await successor.child.kill()
        return trial

    trials = await asyncio.gather(*(one(p, n) for p in points for n in range(count)))
    return {point: trials[place * count :][:count] for place, point in enumerate(points)}


def found(trials: Mapping[str, Trials]) -> Found:
    """The tables of what was measured: a row for each point, a column for each engine."""
    points = next(iter(trials.values())).keys()

    def table(title: str, quantity: Callable[[str, Point], Quantity]) -> Table:
        rows = [Row(name=p, cells={name: quantity(name, p) for name in trials}) for p in points]
        return Table.of(title, rows)

    def goes_on(name: str, point: Point) -> Quantity:
        return seconds(*(round(trial.goes_on, 3) for trial in trials[name][point]))

    def fetched(name: str, point: Point) -> Quantity:
        return seconds(*(round(trial.fetched, 3) for trial in trials[name][point]))

    def paid(name: str, point: Point) -> Quantity:
        return Quantity(values=tuple(trial.paid for trial in trials[name][point]), unit="calls")

    tables = [
        table(f"{GOES_ON}: SIGKILL to the next request", goes_on),
        table(f"{FETCHED}: SIGKILL to the end", fetched),
        table(f"{PAID} (ideal: {IDEAL_CALLS})", paid),
    ]
    if DBOS in trials:
        title = "the end, as a multiple of DBOS"
        tables.append(table(title, lambda n, p: fetched(n, p).over(fetched(DBOS, p))))
    return Found(tables=tuple(tables), notes=_notes(with_peer=DBOS in trials))


def _notes(*, with_peer: bool) -> tuple[str, ...]:
    if not with_peer:
        return ("DBOS is not installed here (`pip install dbos`), so the peer is missing.",)
    return (
        f"DBOS {version('dbos')} (MIT) {' '.join(_PEER.split())}",
        *(" ".join(note.split()) for note in _NOTES.split("\n\n")),
    )


def plot(found: Found) -> Figure:
    """Until the video was fetched, and how often was paid, for each point and engine."""
    times, bills = found.tables[1], found.tables[2]
    rows = tuple(reversed(times.rows))
    figure, (left, right) = plots.styled(10, 4.2, columns=2, width_ratios=(3, 2))
    engines = times.columns
    step = 0.8 / len(engines)
    for series, engine in enumerate(engines):
        for place, row in enumerate(rows):
            at = place + 0.4 - step * (series + 0.5)
            plots.interval(left, at, row.cells[engine], series, engine)
            paid = bills.row(row.name).cells[engine]
            plots.interval(right, at, paid, series, engine)
    ends = [-0.5, len(rows) - 0.5]
    plots.ideal(right, [IDEAL_CALLS] * 2, ends, "ideal")
    plots.logarithmic(left)
    left.set_xlabel(
        "seconds from the kill to the video, logarithmic (dots: each value, bar: median)"
    )
    plots.rows(left, [row.name for row in rows])
    plots.rows(right, [""] * len(rows))
    right.set_xlabel("paid calls")
    right.set_xticks([2, 3])
    right.set_xlim(1.5, 3.5)
    plots.legend(figure, columns=5)
    return figure
