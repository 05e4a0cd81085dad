"""What was measured during a case: how deep a task queue was, what a worker said of itself. Each
line of `samples.jsonl` is one value at one time. Nothing that the run does depends on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, field_validator

from chaos.evidence.files import append_to, read_if_there
from chaos.evidence.text import LONGEST, writable

SAMPLES = "samples.jsonl"

BACKLOG = "backlog_tasks"
"""Tasks that wait in a task queue for a worker, by the server's own estimate. The labels
`task_queue` and `kind` (workflow, activity) say whose. A task that waits in the sticky queue of one
worker is not among them.
"""
BACKLOG_AGE = "backlog_age_seconds"
"""How long the oldest of them has waited."""
ADDED = "tasks_added_per_second"
DISPATCHED = "tasks_dispatched_per_second"
"""How many came and how many went, as the server averages over its last 30 s."""

WORKER_CPU = "worker_cpu_seconds"
"""The CPU time that a worker has used since its start, by the kernel; its labels are `worker`, as
in the journal, and `pid`.
"""
WORKER_MEMORY = "worker_memory_bytes"
"""The memory of its processes that is in RAM; what they share with others counts as well."""
SERVED = "metrics_served"
"""1 while a worker serves its SDK metrics, 0 while it does not; written when it changes. All of
them are: each keeps its last value until then.
"""

MOST_BYTES = 32 * 1024 * 1024
"""Of one case's samples; what comes after that is left out."""

_LONGEST_LABEL = 200


class SamplesError(Exception):
    """The file cannot be read. One sentence: where it is damaged."""


class Sample(BaseModel):
    """One line of the file.

    Attributes:
        at: when it was measured, by the harness's clock.
        name: of what, with its unit, such as `backlog_tasks`.
        value: the value; of a histogram the sum of all that was observed.
        labels: whose it is, such as the task queue or the worker.
        count: of a histogram: how many were observed.
        buckets: of a histogram: how many of them were no greater than each bound.

    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    at: AwareDatetime
    name: str
    value: float
    labels: Mapping[str, str] = {}
    count: float | None = None
    buckets: Mapping[str, float] = {}

    @field_validator("name")
    @classmethod
    def _name_can_be_written(cls, name: str) -> str:
        return writable(name)[:_LONGEST_LABEL]

    @field_validator("labels")
    @classmethod
    def _labels_can_be_written(cls, labels: Mapping[str, str]) -> Mapping[str, str]:
        return {
            writable(name)[:_LONGEST_LABEL]: writable(value)[:LONGEST]
            for name, value in labels.items()
        }


class SampleFile:
    """Appends samples to a case's file, which is there only if there is any.

    It never raises: a full disk ends the measuring, and breaks no case.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / SAMPLES
        self._file: BinaryIO | None = None
        self._is_closed = False
        self._written = 0

    def add(
        self,
        name: str,
        value: float,
        labels: Mapping[str, str] | None = None,
        *,
        at: datetime | None = None,
    ) -> None:
        """Write one value, by default with the present time. One that is no number is left out."""
        if math.isfinite(value):
            now = at or datetime.now(UTC)
            self.write([Sample(at=now, name=name, value=value, labels=labels or {})])

    def write(self, samples: Iterable[Sample]) -> None:
        """Write some that were measured together."""
        lines = [each.model_dump_json(exclude_defaults=True).encode() + b"\n" for each in samples]
        data = b"".join(lines)
        if self._is_closed or not data or self._written + len(data) > MOST_BYTES:
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = append_to(self._path)
            self._file.write(data)
            self._file.flush()
        except OSError:
            self._is_closed = True
        self._written += len(data)

    def close(self) -> None:
        """Close the file; later samples are not written."""
        self._is_closed = True
        if self._file:
            self._file.close()


def read_samples(folder: Path) -> tuple[Sample, ...]:
    """All samples of a case, in the order in which they were written; none where there is no file.

    An unfinished last line is left out: its writer was killed at it. Raises SamplesError for any
    other damage.
    """
    lines = (read_if_there(folder / SAMPLES) or b"").split(b"\n")[:-1]
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Sample.model_validate_json(line, strict=True))
        except ValidationError:
            raise SamplesError(
                f"line {number} of {SAMPLES} is damaged: keep the file as evidence."
            ) from None
    return tuple(found)


def over_time(
    samples: Sequence[Sample], name: str, **labels: str
) -> Sequence[tuple[datetime, float]]:
    """The values of that name and with these labels, those of one moment added up.

    So `over_time(evidence.samples, BACKLOG)` is how many tasks waited in all queues, over time.
    """
    found: dict[datetime, float] = {}
    for sample in samples:
        if sample.name == name and labels.items() <= sample.labels.items():
            found[sample.at] = found.get(sample.at, 0.0) + sample.value
    return tuple(found.items())
