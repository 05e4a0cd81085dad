"""Several runs of the same benchmarks as one: what a figure does from run to run."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import Benchmark, Found, Quantity, Report, Row, Table


def together(reports: Sequence[Report]) -> Report:
    """One report whose values are the medians of the runs. A single run stays as it is."""
    if len(reports) == 1:
        return reports[0]
    first = reports[0]
    found = [
        _benchmark([b for report in reports for b in report.benchmarks if b.name == one.name])
        for one in first.benchmarks
    ]
    return first.model_copy(update={"benchmarks": tuple(found)})


def _benchmark(runs: Sequence[Benchmark]) -> Benchmark:
    notes = dict.fromkeys(note for run in runs for note in run.found.notes)
    tables = tuple(
        _table([r.found.tables[n] for r in runs]) for n in range(len(runs[0].found.tables))
    )
    return runs[0].model_copy(
        update={
            "found": Found(tables=tables, notes=tuple(notes)),
            "duration_s": sum(run.duration_s for run in runs),
            "load_after": runs[-1].load_after,
        }
    )


def _table(runs: Sequence[Table]) -> Table:
    names = [{row.name for row in table.rows} for table in runs]
    rows = [
        _row([table.row(row.name) for table in runs])
        for row in runs[0].rows
        if all(row.name in others for others in names)
    ]
    return runs[0].model_copy(update={"rows": tuple(rows)})


def _row(runs: Sequence[Row]) -> Row:
    cells = {
        name: Quantity(
            values=tuple(row.cells[name].median for row in runs), unit=runs[0].cells[name].unit
        )
        for name in runs[0].cells
        if all(name in row.cells for row in runs)
    }
    return runs[0].model_copy(update={"cells": cells})
