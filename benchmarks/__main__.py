"""Measures, and leaves a report: `python -m benchmarks [NAME …]`, or `nox -s bench -- [NAME …]`."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import psutil

from benchmarks import (
    campaign,
    concurrency,
    control,
    payments,
    peer,
    proxies,
    recovery,
    restart,
    suite,
)
from benchmarks.bed import Bed
from benchmarks.figures import Benchmark, Found, Report
from chaos.evidence.numbers import whole
from chaos.experiment.reading import ReadingError, read_run
from chaos.process.programs import BadBinaryError, Binary, BinaryNotFoundError, find_temporal_cli
from chaos.process.reaper import Reaper

REPORTS = Path(__file__).parent.parent / "reports"

_EXAMPLES = """examples:
  python -m benchmarks                     all but the last two, about 8 minutes on two cores
  python -m benchmarks --quick             with as few repetitions as make sense
  python -m benchmarks recovery peer       these two
  python -m benchmarks --times 3           three runs: how much a figure differs from run to run
  python -m benchmarks suite --run=FOLDER  of a run that is not reports/latest, or of several
  python -m benchmarks campaign            300 points by one worker and by three, about 20 minutes
  python -m benchmarks campaign --kill-every 20
  python -m benchmarks control             its control server at 10,000 cases an hour, 4 minutes
"""


class Measure(Protocol):
    """A benchmark; `quick`: with as few repetitions as make sense."""

    async def __call__(self, bed: Bed, *, quick: bool) -> Found:
        """Leaves no process behind."""


BENCHMARKS: Mapping[str, tuple[str, Measure]] = {
    "payments": (payments.QUESTION, payments.measure),
    "proxies": (proxies.QUESTION, proxies.measure),
    "recovery": (recovery.QUESTION, recovery.measure),
    "restart": (restart.QUESTION, restart.measure),
    "peer": (peer.QUESTION, peer.measure),
    "concurrency": (concurrency.QUESTION, concurrency.measure),
    "suite": (suite.QUESTION, suite.Suite().measure),
    "campaign": (campaign.QUESTION, campaign.CampaignBenchmark().measure),
    "control": (control.QUESTION, control.measure),
}
"""In the order in which they run."""

ON_REQUEST = frozenset({"campaign", "control"})
"""Run only where they are named: they take long."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 if all were measured and right, 1 if one was not, 2 for a mistake, 130 after
    Ctrl-C.
    """
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
        read_run(folder)  # a mistake is reported before anything takes its time
    cli = find_temporal_cli(given.temporal_cli, announce=_say)
    wanted = set(given.names) or BENCHMARKS.keys() - ON_REQUEST
    chosen = {name: each for name, each in BENCHMARKS.items() if name in wanted}
    if given.run and "suite" in chosen:
        chosen["suite"] = (suite.QUESTION, suite.Suite(given.run).measure)
    if "campaign" in chosen:
        chosen["campaign"] = (campaign.QUESTION, _campaign(given).measure)
    started_at, done = datetime.now(UTC), []
    for name, (question, measure) in chosen.items():
        _say(f"{name}: {question}")
        try:
            runs = [_measure(name, measure, cli.path, quick=given.quick) for _ in given.times]
        except Exception as error:  # noqa: BLE001 - the others are worth their time all the same
            _say(f"{name} failed: {type(error).__name__}: {error}")
            continue
        found = Found.together([run.found for run in runs])
        done.append(runs[0].model_copy(update={"question": question, "found": found}))
    if done:
        report = Report(started_at=started_at, machine=_machine(cli), benchmarks=tuple(done))
        folder = write(given.reports, report)
        sys.stdout.write(f"\n{report.markdown()}\n")
        _say(f"written to {folder}")
    are_right = not any(benchmark.found.problems for benchmark in done)
    return 0 if len(done) == len(chosen) and are_right else 1


def _campaign(given: Namespace) -> campaign.CampaignBenchmark:
    return campaign.CampaignBenchmark(
        workers=given.workers,
        sample=given.sample,
        hits=given.hits,
        kill_every_seconds=given.kill_every,
        at_most=given.at_most,
        s3=given.s3,
    )


def _measure(name: str, measure: Measure, temporal_cli: Path, *, quick: bool) -> Benchmark:
    """Under a reaper of its own, so that each begins on a machine that the last one has left."""
    began, load_before = time.monotonic(), os.getloadavg()[0]
    with Reaper() as reaper:
        bed = Bed(reaper.folder / "bench", reaper.run_tag, temporal_cli)
        bed.folder.mkdir()
        found = asyncio.run(measure(bed, quick=quick))
    return Benchmark(
        name=name,
        question="",
        found=found,
        duration_s=round(time.monotonic() - began, 1),
        load_before=round(load_before, 2),
    )


def write(reports: Path, report: Report) -> Path:
    """Leave a folder with `bench.json`, `bench.md` and, where that was measured, `recovery.svg`."""
    folder = reports / f"bench-{report.started_at:%Y-%m-%dT%H-%M-%SZ}"
    folder.mkdir(parents=True)
    (folder / "bench.json").write_text(report.model_dump_json(indent=1, by_alias=True))
    (folder / "bench.md").write_text(report.markdown())
    for benchmark in report.benchmarks:
        if benchmark.name == "recovery":
            recovery.plot(benchmark.found).savefig(
                folder / "recovery.svg", facecolor="white", metadata={"Date": None}
            )
    return folder


def _machine(cli: Binary) -> str:
    memory_gb = psutil.virtual_memory().total / 1e9
    return (
        f"{os.cpu_count()} cores, {memory_gb:.1f} GB, {platform.system()}; "
        f"Python {platform.python_version()}, temporalio {version('temporalio')}, "
        f"Temporal server {cli.server_version}."
    )


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    names = ", ".join(BENCHMARKS)
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name, help=names)
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--times", type=_times, default=range(1), metavar="N", help="runs of each")
    parser.add_argument(
        "--run",
        type=Path,
        action="append",
        default=[],
        help="a run's folder for suite (reports/latest); again for several, and their spread",
    )
    _add_campaign(parser)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    parser.add_argument("--temporal-cli", type=Path, help="your own Temporal CLI")
    return parser


def _add_campaign(parser: ArgumentParser) -> None:
    of = parser.add_argument_group("of the benchmark campaign")
    of.add_argument(
        "--workers",
        type=whole(1),
        action="append",
        metavar="N",
        help="worker processes; again for further runs (1 and 3)",
    )
    of.add_argument("--sample", type=whole(1), metavar="N", help="crash points (50)")
    of.add_argument("--hits", type=whole(1), metavar="N", help="of each of these (6)")
    of.add_argument(
        "--kill-every",
        type=whole(5),
        metavar="SECONDS",
        help="kill a worker so often, and the control server once; of 4 workers, if none are named",
    )
    of.add_argument(
        "--at-most",
        type=whole(1),
        default=campaign.AT_MOST,
        metavar="N",
        help="cases at once on each worker (%(default)s)",
    )
    of.add_argument("--s3", action="store_true", help="the evidence goes to an S3 server, moto's")


def _name(text: str) -> str:
    if text not in BENCHMARKS:
        raise ArgumentTypeError(f"there is no {text!r}; choose from {', '.join(BENCHMARKS)}")
    return text


def _times(text: str) -> range:
    return range(whole(1)(text))


def _say(sentence: str) -> None:
    sys.stderr.write(f"bench: {sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
