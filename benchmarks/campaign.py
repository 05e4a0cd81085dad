"""What a case costs in a campaign, with one worker process and with several.

Each worker stands for a machine: it gets half a core, with all that it starts. The control server
and the command that follows the campaign run beside them. The cases are crash points of the
example with orders. What the store and the workflow's history say is compared, and so are the
verdicts of all runs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bed import Bed
from benchmarks.campaign_bed import CampaignBed, Control, Fleet, campaign_bed
from benchmarks.campaign_results import problems, read_both, report_problems
from benchmarks.campaign_tables import Outcome, found
from benchmarks.figures import Found
from chaos.process.child import Child

QUESTION = "A campaign on one worker and on several: what does a case cost, and is nothing lost?"

AT_MOST = 6
"""Cases at once on each worker. Its own choice for half a core is 2, which leaves two thirds of it
idle: most of a crash point is waiting. Whole scenarios have more to do.
"""

KILLED_WORKERS = 4
"""Where none are named: killed in turns every 20 s, each lives for 80 s. A point takes up to 40 s
on a cold stack with half a core, and is unknown when ten of its machines were lost.
"""

RESTART_AFTER_KILLS = 2
"""After so many killed workers the control server gets SIGKILL as well, once."""

_SAY_SECONDS = 60.0


@dataclass(frozen=True)
class Sizes:
    """How many workers, one run for each number; so many crash points, each hit `hits` times."""

    workers: Sequence[int] = (1, 3)
    sample: int = 50
    hits: int = 6


QUICK = Sizes(sample=8, hits=1)


@dataclass(frozen=True)
class CampaignBenchmark:
    """As the options say; None: as many workers, points and hits as are usual. `at_most`: cases
    at once on each worker. With `kill_every_seconds` one worker after the other gets SIGKILL, and
    another takes its place.
    """

    workers: Sequence[int] | None = None
    sample: int | None = None
    hits: int | None = None
    kill_every_seconds: float | None = None
    at_most: int = AT_MOST
    s3: bool = False

    async def measure(self, bed: Bed, *, quick: bool) -> Found:
        """One campaign after the other, each with servers of its own. Raises RuntimeError where
        one does not come to its end.
        """
        usual = QUICK if quick else Sizes()
        sizes = Sizes(
            self.workers or ((KILLED_WORKERS,) if self.kill_every_seconds else usual.workers),
            self.sample or usual.sample,
            self.hits or usual.hits,
        )
        outcomes = []
        for number, workers in enumerate(sizes.workers, 1):
            async with campaign_bed(bed, f"campaign-{number}", s3=self.s3) as place:
                outcomes.append(await self._campaign(place, workers, sizes))
        return found(outcomes, at_most=self.at_most, s3=self.s3)

    async def _campaign(self, place: CampaignBed, workers: int, sizes: Sizes) -> Outcome:
        async with place.control() as control:
            client = await control.server.connect()
            async with place.fleet(control, workers, at_most=self.at_most) as fleet:
                before, cpu_before = await control.counts(), control.cpu_seconds
                command = place.explore(
                    control, f"--sample={sizes.sample}", f"--times={sizes.hits}"
                )
                command.start()
                try:
                    kills = await self._disturbed(command, control, fleet)
                    code = await command.wait(1)
                finally:
                    await command.discard()
                if code not in {0, 1}:
                    raise RuntimeError(f"explore: exit code {code}\n{command.last_lines(12)}")
                used = fleet.cpu_seconds
                is_same = kills < RESTART_AFTER_KILLS
                counts = (await control.counts()).since(before) if is_same else None
                control_cpu = control.cpu_seconds - cpu_before if is_same else None
            kept, recorded = await read_both(client, place.place.url)
            reported = report_problems(place.place.url, kept, place.folder / "checked")
            wrong = [*problems(kept, recorded), *reported]
            if self.kill_every_seconds and is_same:
                wrong.append("the control server was not restarted: take more points.")
            return Outcome(
                workers=workers,
                kept=kept,
                recorded=recorded,
                wrong=wrong,
                is_limited=all(fleet.shares.values()),
                workers_cpu_seconds=used,
                control_cpu_seconds=control_cpu,
                counts=counts,
                kills=kills,
            )

    async def _disturbed(self, command: Child, control: Control, fleet: Fleet) -> int:
        """Until the command has ended: kill worker after worker, if that is asked. How many."""
        ended = asyncio.create_task(command.until_ended())
        kills = 0
        every = self.kill_every_seconds or _SAY_SECONDS
        try:
            while not (await asyncio.wait([ended], timeout=every))[0]:
                _say(f"{len(fleet.machines)} workers, {kills} killed: {command.last_lines(1)}")
                if self.kill_every_seconds is None:
                    continue
                names = list(fleet.machines)
                name = names[kills % len(names)]
                await fleet.machines[name].kill()
                fleet.start(name)
                kills += 1
                if kills == RESTART_AFTER_KILLS:
                    await control.restart()
        finally:
            ended.cancel()
        return kills


def _say(sentence: str) -> None:
    sys.stderr.write(f"bench: campaign: {sentence}\n")
