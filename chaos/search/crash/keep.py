"""Saves the evidence of one attempt into a folder, in the layout of a case. The processes, and so
the payment records, the harness's journal and the wire's, belong to many attempts; each gets the
parts about its own workflow, and about the worker that was killed for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.evidence.case import save_billing, save_prefix, save_timings
from chaos.evidence.files import write_file
from chaos.evidence.histories import save_histories
from chaos.evidence.journal import read_entries_about
from chaos.evidence.spec import WorkflowSpec, save_specs
from chaos.experiment.lab import Lab
from chaos.wire.boundary import REPORTS, Crossing, Kind
from chaos.wire.journal import FOLDER, RECORD, Called, WireRecord

JOURNAL = "journal.jsonl"
LOG = "logs/workers.log"


REPORT_OF = {taken: report for report, taken in REPORTS.items()}
"""The event that the server has after it has taken a report, by report."""

_WORK = {Kind.WORKFLOW_TASK, Kind.ACTIVITY}


@dataclass(frozen=True)
class Since:
    """The ends of a lane's logs and journals when an attempt started."""

    logs: Mapping[Path, int]
    lines: Mapping[Path, int]


async def keep(
    lab: Lab, folder: Path, spec: WorkflowSpec, since: Since, *, pid: int | None = None
) -> None:
    """Fill an attempt's folder. `pid` is the worker that was killed."""
    target, real_id = lab.stack.target, lab.handle(spec.workflow_id).id
    await save_specs(folder, [spec], target.data_converter)
    await save_histories(lab.client, folder, [real_id], lab.started)
    save_billing(folder, target.billing)
    save_timings(folder, target.timings)
    save_prefix(folder, lab.stack.temporal.prefix)
    await asyncio.to_thread(_keep_lines, lab.stack.evidence_folder, folder, spec, since, pid)
    await lab.keep(spec, folder)


def ends(files: Sequence[Path]) -> Mapping[Path, int]:
    """The present ends of these files, for those that exist."""
    return {file: file.stat().st_size for file in files if file.exists()}


def _keep_lines(
    stack: Path, folder: Path, spec: WorkflowSpec, since: Since, pid: int | None
) -> None:
    for name in (Path(LOG).parent, FOLDER):
        (folder / name).mkdir(exist_ok=True)
    for file, begin in since.lines.items():
        write_file(folder / FOLDER / file.name, _from(file, begin))
    write_file(folder / LOG, b"".join(_from(*log) for log in since.logs.items()))
    entries = read_entries_about(stack / JOURNAL, spec.workflow_id, pid)
    lines = [entry.model_dump_json(exclude_defaults=True) for entry in entries]
    write_file(folder / JOURNAL, "".join(f"{line}\n" for line in lines))


def _from(file: Path, begin: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(begin)
        return opened.read()


def is_report(taken: Crossing) -> bool:
    """Whether the report that the server has taken is one that SDKs send again until it is
    answered.
    """
    return taken.boundary.kind in _WORK and taken.boundary.stage in REPORT_OF


def is_sent_again(journals: Mapping[Path, int], taken: Crossing) -> bool:
    """Whether that is on record in one of these lines' journals, from so many bytes on."""
    records = [record for file, begin in journals.items() for record in _records(file, begin)]
    return len(_calls(records, taken)) > 1


def _calls(records: Sequence[WireRecord], taken: Crossing) -> Sequence[Called]:
    """The records of calls that reported it."""
    report = taken.at(REPORT_OF[taken.boundary.stage])
    return [r for r in records if isinstance(r, Called) and report in r.crossings]


def _records(file: Path, begin: int) -> Iterator[WireRecord]:
    with file.open("rb") as opened:
        opened.seek(begin)
        for line in opened.read().split(b"\n")[:-1]:
            yield RECORD.validate_json(line)
