"""Measures, and leaves a report: `python -m benchmarks [NAME …]`, or `nox -s bench -- [NAME …]`."""

from __future__ import annotations

import asyncio
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine, noise, page
from benchmarks.bed import Bed
from benchmarks.catalogue import Entry, entries
from benchmarks.figures import Benchmark, Report
from chaos.experiment.reading import ReadingError, read_run
from chaos.process.programs import BadBinaryError, Binary, BinaryNotFoundError, find_temporal_cli
from chaos.process.reaper import Reaper

REPORTS = Path(__file__).parent.parent / "reports"

_EXAMPLES = """examples:
  python -m benchmarks                     all of them, about 10 minutes on two cores
  python -m benchmarks --quick             as few repetitions as make sense
  python -m benchmarks recovery peer       these two
  python -m benchmarks --times 3           three runs: how much a figure differs from run to run
  python -m benchmarks suite --run=FOLDER  of a run that is not reports/latest, or of several
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 if all were measured, 1 if one was not, 2 for a mistake, 130 after Ctrl-C."""
    given = _parser().parse_args(arguments)
    try:
        return _run(given)
    except (BadBinaryError, BinaryNotFoundError, ReadingError) as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        _say("interrupted: nothing is left behind, and no report.")
        return 130


def _run(given: Namespace) -> int:
    for folder in given.run:
        read_run(folder)  # a mistake is told before anything takes its time
    cli = find_temporal_cli(given.temporal_cli, announce=_say)
    known = entries(given.run)
    chosen = [entry for name, entry in known.items() if name in given.names or not given.names]
    reports, failed = [], False
    for number in range(given.times):
        if given.times > 1:
            _say(f"run {number + 1} of {given.times}")
        report, all_done = _measure_all(chosen, cli, quick=given.quick)
        failed = failed or not all_done
        reports.append(report)
    whole = [r for r in reports if len(r.benchmarks) == max(len(o.benchmarks) for o in reports)]
    if not whole or not whole[0].benchmarks:
        return 1
    folder = write(given.reports, whole, known)
    sys.stdout.write(f"\n{(folder / 'bench.md').read_text()}\n")
    _say(f"{folder / 'bench.html'}")
    return 1 if failed else 0


def _measure_all(chosen: Sequence[Entry], cli: Binary, *, quick: bool) -> tuple[Report, bool]:
    """One run of each, and whether all went well."""
    started_at = datetime.now(UTC)
    found = []
    for entry in chosen:
        _say(f"{entry.name}: {entry.question}")
        try:
            found.append(_measure(entry, cli.path, quick=quick))
        except Exception as error:  # noqa: BLE001 - the others are worth their time all the same
            _say(f"{entry.name} failed: {type(error).__name__}: {error}")
    report = Report(
        schema=1,
        started_at=started_at,
        quick=quick,
        machine=machine.describe(cli.server_version),
        benchmarks=tuple(found),
    )
    return report, len(found) == len(chosen)


def _measure(entry: Entry, temporal_cli: Path, *, quick: bool) -> Benchmark:
    """Under a reaper of its own, so that each begins on a machine that the last one has left."""
    started_at, began, before = datetime.now(UTC), time.monotonic(), machine.load()
    with Reaper() as reaper:
        bed = Bed(reaper.folder / "bench", reaper.run_tag, temporal_cli)
        bed.folder.mkdir()
        found = asyncio.run(entry.measure(bed, quick=quick))
        took = time.monotonic() - began
    return Benchmark(
        name=entry.name,
        title=entry.title,
        question=entry.question,
        found=found,
        started_at=started_at,
        duration_s=round(took, 1),
        load_before=before,
        load_after=machine.load(),
    )


def write(reports: Path, runs: Sequence[Report], known: Mapping[str, Entry]) -> Path:
    """Leave a folder: `bench.json`, `bench.md`, `bench.html`, the plots, each of several runs."""
    report = _concluded(noise.together(runs), known)
    figures = {b.name: known[b.name].plot(b.found) for b in report.benchmarks}
    texts = {
        "bench.json": report.model_dump_json(indent=1, by_alias=True),
        "bench.md": page.markdown(report),
        "bench.html": page.page(report, figures),
    }
    if len(runs) > 1:
        for number, run in enumerate(runs, start=1):
            texts[f"run-{number}.json"] = run.model_dump_json(indent=1, by_alias=True)
    folder = reports / f"bench-{report.started_at:%Y-%m-%dT%H-%M-%SZ}"
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.svg", facecolor="white")
    return folder


def _concluded(report: Report, known: Mapping[str, Entry]) -> Report:
    """With the conclusions from these very figures: several runs may say another thing than one."""
    benchmarks = (
        b.model_copy(update={"conclusion": known[b.name].conclude(b.found)})
        for b in report.benchmarks
    )
    return report.model_copy(update={"benchmarks": tuple(benchmarks)})


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    names = tuple(entries())
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name, help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--times", type=_times, default=1, metavar="N", help="so many runs")
    parser.add_argument(
        "--run",
        type=Path,
        action="append",
        default=[],
        help="a run's folder for suite (reports/latest); again for several, and their spread",
    )
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    parser.add_argument("--temporal-cli", type=Path, help="your own Temporal CLI")
    return parser


def _name(text: str) -> str:
    if text not in entries():
        raise ArgumentTypeError(f"there is no {text!r}; choose from {', '.join(entries())}")
    return text


def _times(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a number from 1 on, not {text!r}")
    return int(text)


def _say(sentence: str) -> None:
    sys.stderr.write(f"bench: {sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
