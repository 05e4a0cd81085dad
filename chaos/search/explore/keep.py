"""Puts all that there is to know of one try into a folder, laid out as a case's evidence.

The processes, and so the books and the harness's journal, belong to many tries; each gets what is
about its own workflow, and about the worker that died for it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from chaos.evidence.case import save_billing, save_prefix, save_timings
from chaos.evidence.files import read_if_there, write_file
from chaos.evidence.histories import save_histories
from chaos.evidence.journal import read_journal
from chaos.evidence.spec import WorkflowSpec, save_specs
from chaos.experiment.lab import Lab
from chaos.search.explore.moments import Passed, hit_file, passed_file

HIT = "hit.json"
PASSED = "passed.jsonl"
JOURNAL = "journal.jsonl"
LOG = "logs/workers.log"


async def keep(lab: Lab, lane: Path, folder: Path, spec: WorkflowSpec, log: bytes) -> None:
    """Fill a try's folder. `lane` is where its workers wrote which moments they passed."""
    target, real_id = lab.stack.target, lab.handle(spec.workflow_id).id
    await save_specs(folder, [spec], target.data_converter)
    await save_histories(lab.client, folder, [real_id], lab.started)
    save_billing(folder, target.billing)
    save_timings(folder, target.timings)
    save_prefix(folder, lab.stack.temporal.prefix)
    await asyncio.to_thread(_keep_lines, lab.stack.evidence_folder, lane, folder, spec)
    (folder / LOG).parent.mkdir(exist_ok=True)
    write_file(folder / LOG, log)
    await lab.keep(spec, folder)


def read_hit(folder: Path) -> Passed | None:
    """The last line of the worker that died in this try."""
    content = read_if_there(folder / HIT)
    return None if content is None else Passed.model_validate_json(content)


def read_passed(folder: Path) -> Sequence[Passed]:
    """The moments that the try's workers passed."""
    lines = (read_if_there(folder / PASSED) or b"").split(b"\n")[:-1]
    return [Passed.model_validate_json(line) for line in lines]


def _keep_lines(stack: Path, lane: Path, folder: Path, spec: WorkflowSpec) -> None:
    for file, name in (
        (hit_file(lane, spec.workflow_id), HIT),
        (passed_file(lane, spec.workflow_id), PASSED),
    ):
        if file.exists():
            shutil.move(file, folder / name)
    hit = read_hit(folder)
    entries = [
        entry
        for entry in read_journal(stack / JOURNAL)
        if entry.workflow_id == spec.workflow_id or (hit and entry.pid == hit.pid)
    ]
    lines = [entry.model_dump_json(exclude_defaults=True) for entry in entries]
    write_file(folder / JOURNAL, "".join(f"{line}\n" for line in lines))
