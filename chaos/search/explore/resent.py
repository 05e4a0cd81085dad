"""Whether a worker has reported again what the server knew already: its reply was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from chaos.wire.boundary import REPORTS, Crossing, Kind
from chaos.wire.journal import RECORD, Called, WireRecord

REPORT_OF = {taken: report for report, taken in REPORTS.items()}
"""What the server has when it has taken a report, and that report."""

_WORK = {Kind.WORKFLOW_TASK, Kind.ACTIVITY}


def is_report(taken: Crossing) -> bool:
    """Whether what the server has taken is one that SDKs send again until it is answered."""
    return taken.boundary.kind in _WORK and taken.boundary.stage in REPORT_OF


def is_sent_again(journals: Mapping[Path, int], taken: Crossing) -> bool:
    """Whether that is on record in one of these lines' journals, from so many bytes on."""
    records = [record for file, begin in journals.items() for record in _records(file, begin)]
    return len(_calls(records, taken)) > 1


def _calls(records: Sequence[WireRecord], taken: Crossing) -> Sequence[Called]:
    """Those that reported it."""
    report = taken.at(REPORT_OF[taken.boundary.stage])
    return [r for r in records if isinstance(r, Called) and report in r.crossings]


def _records(file: Path, begin: int) -> Iterator[WireRecord]:
    with file.open("rb") as opened:
        opened.seek(begin)
        for line in opened.read().split(b"\n")[:-1]:
            yield RECORD.validate_json(line)
