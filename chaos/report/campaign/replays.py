"""How a failure of a campaign is brought back: its schedule, as a file beside the report, and the
command that runs it. No command is taken from the store, which may be anybody's.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from chaos.evidence.files import write_file
from chaos.report.campaign.reading import Gap, Kept
from chaos.search.campaign import names
from chaos.search.campaign.keep import MOST_BYTES
from chaos.search.campaign.model import CaseKind, CaseRecord, Explore, Probe
from chaos.search.campaign.store import DamagedError, Store
from chaos.search.schedule import Schedule, ScheduleError, require_no_commands
from chaos.wire.boundary import Boundary, BoundaryError

PROGRAM = "temporal-chaos"


@dataclass(frozen=True)
class Replays:
    """Those of a campaign, with their files below a folder."""

    store: Store
    kept: Kept
    folder: Path

    def write(self, broke: str, records: Sequence[CaseRecord]) -> str:
        """The shortest schedule that is known to show a failure, or else that of its first case; by
        its name in the folder, empty where there is none. Raises StoreError, OSError.
        """
        cases = [each.case.name for each in records if each.case.kind is CaseKind.SCHEDULE]
        for source in (names.failure(broke), *map(names.schedule, cases)):
            if source in self.kept.files and (schedule := self._schedule(source)) is not None:
                path = self.folder / names.failure(broke)
                path.parent.mkdir(parents=True, exist_ok=True)
                text = schedule.model_dump_json(by_alias=True, indent=1)
                write_file(path, f"{text}\n")
                return names.failure(broke)
        return ""

    def _schedule(self, name: str) -> Schedule | None:
        try:
            schedule = Schedule.model_validate_json(self.store.read(name, MOST_BYTES) or b"")
            require_no_commands([schedule])
        except (DamagedError, ScheduleError) as error:
            problem = str(error)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            problem = f"{name} is no schedule: {where}: {first['msg']}"
        else:
            return schedule
        self.kept.gaps.append(Gap(problem=problem.rstrip(".")))
        return None

    def command(self, record: CaseRecord, file: str) -> str:
        """What brings a failure back, by its file if it has one; else what shows its evidence."""
        if file:
            return shlex.join([PROGRAM, "run", f"--replay={shown(self.folder / file)}"])
        if record.case.kind is CaseKind.SCENARIO:
            return shlex.join([PROGRAM, "run", record.case.name.partition(".")[0]])
        return self._of_point(record) or self.fetch(record.case.name)

    def _of_point(self, record: CaseRecord) -> str:
        """A probe of that point alone, for which a point of an exploration is one as well."""
        work = self.kept.campaign.work
        specs = [work.spec] if isinstance(work, Probe) else []
        if isinstance(work, Explore):
            specs = [each for each in work.specs if record.case.name.startswith(f"{each}-")]
        action, _, boundary = next(iter(record.judged.cells), "").partition(" at ")
        try:
            at = str(Boundary.parse(boundary))
        except BoundaryError:
            return ""
        if not specs or action not in {"kill", "drop"}:
            return ""
        target = self.kept.campaign.target
        words = [PROGRAM, "probe", *(["--target", target] if target else [])]
        return shlex.join([*words, "--spec", max(specs, key=len), "--at", at, "--action", action])

    def fetch(self, case: str) -> str:
        """The command that fetches a case's evidence."""
        return shlex.join([PROGRAM, "campaign", "report", self.store.address, "--case", case])


def shown(path: Path) -> str:
    """A path as one types it from here."""
    path, here = path.absolute(), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
