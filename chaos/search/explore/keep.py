"""Puts all that there is to know of one try into a folder, laid out as a case's evidence.

The processes, and so the provider's books and the fleet's log, belong to many tries; each gets what
is about its own workflow.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from chaos.evidence.bills import REFERENCE
from chaos.evidence.case import (
    WorkflowSpec,
    save_billing,
    save_histories,
    save_paid_calls,
    save_specs,
)
from chaos.evidence.files import read_if_there, write_file
from chaos.search.explore.moments import Passed, hit_file, passed_file
from tests.chaos.video.fake_api.ledger import Billed, Received, Record, read_ledger, to_line

HIT = "hit.json"
PASSED = "passed.jsonl"
FLEET_LOG = "logs/fleet.log"


@dataclass(frozen=True)
class Source:
    """Where the witnesses are while the processes live. `stack` is the folder of their evidence."""

    client: Client
    ledger_url: str
    stack: Path
    lane: Path


async def keep(source: Source, folder: Path, asked: WorkflowSpec, fleet_log: bytes) -> None:
    """Fill a try's folder."""
    await save_histories(source.client, folder, [asked.workflow_id])
    await asyncio.to_thread(_keep_files, source, folder, asked, fleet_log)


def read_hit(folder: Path) -> Passed | None:
    """The last line of the worker that died in this try."""
    content = read_if_there(folder / HIT)
    return None if content is None else Passed.model_validate_json(content)


def read_passed(folder: Path) -> Sequence[Passed]:
    """The moments that the try's workers passed."""
    lines = (read_if_there(folder / PASSED) or b"").split(b"\n")[:-1]
    return [Passed.model_validate_json(line) for line in lines]


def _keep_files(source: Source, folder: Path, asked: WorkflowSpec, fleet_log: bytes) -> None:
    workflow_id = asked.workflow_id
    save_specs(folder, [asked])
    save_billing(folder, REFERENCE)
    save_paid_calls(source.ledger_url, folder, [workflow_id])
    books = read_ledger(source.stack / "ledger.jsonl")
    lines = b"".join(to_line(record) for record in _about(books, asked))
    write_file(folder / "ledger.jsonl", lines)
    (folder / FLEET_LOG).parent.mkdir(exist_ok=True)
    write_file(folder / FLEET_LOG, fleet_log)
    for file, name in (
        (hit_file(source.lane, workflow_id), HIT),
        (passed_file(source.lane, workflow_id), PASSED),
        (source.stack / "artifacts" / workflow_id, f"artifacts/{workflow_id}"),
    ):
        if file.exists():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.move(file, folder / name)


def _about(books: Sequence[Record], asked: WorkflowSpec) -> Iterator[Record]:
    """The records of a workflow: by its prompts, and by what the provider called its videos."""
    bills = [r for r in books if isinstance(r, Billed) and r.prompt in asked.prompts]
    names = {bill.operation for bill in bills} | {bill.file for bill in bills}
    wanted = {bill.request_id for bill in bills}
    for record in books:
        if isinstance(record, Received) and (
            record.prompt in asked.prompts
            or (record.operation or record.file or "") in names - {None}
        ):
            wanted.add(record.request_id)
        if record.request_id in wanted:
            yield record
