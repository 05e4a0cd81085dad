"""`chaos.probe`: a probe as a test of a project's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from chaos.environment.target import Target
from chaos.evidence.files import new_folder
from chaos.report.probed import write_reports
from chaos.search.crash.lanes import DEFAULT_LANES, means_for
from chaos.search.probe.given import of_target
from chaos.search.probe.plan import Choice
from chaos.search.probe.record import Cell, Fate, Probe
from chaos.search.probe.run import PATIENCE_SECONDS, PREFIX, Probing, Wanted
from chaos.wire.boundary import Boundary

_MOST_TOLD = 5


class ProbeFailed(AssertionError):  # noqa: N818 - what a test fails with
    """Something is lost, stuck, different or done twice. The message has the worst of it."""


def probe(  # noqa: PLR0913 - all by name, and each has its default
    target: Target,
    spec: str,
    *,
    sample: int | None = None,
    minutes: float | None = None,
    lanes: int = DEFAULT_LANES,
    at: Sequence[str] = (),
    patience_seconds: float = PATIENCE_SECONDS,
    reports: Path = Path("reports"),
    temporal_cli: Path | None = None,
) -> Probe:
    """Run one of a target's specs undisturbed twice, and then once for each boundary, where its
    worker dies or a reply is lost; what became of it all.

        def test_an_order_survives_every_crash() -> None:
            chaos.probe(SHOP, "order", sample=24)

    `at` are boundaries such as `activity charge_card completing 1`, in place of all. Raises
    ProbeFailed where anything is bad, or nothing was provably hit; and, where it cannot begin, an
    error whose message is a sentence.
    """
    own = of_target(target, spec)
    choice = Choice(at=tuple(map(Boundary.parse, at)), sample=sample)
    command = f"temporal-chaos probe --target MODULE:NAME --spec {spec}"
    with means_for(own, _unheard, temporal_cli=temporal_cli, lanes=lanes, minutes=minutes) as means:
        wanted = Wanted(spec, command, choice, patience_seconds)
        probing = Probing(new_folder(reports.absolute(), PREFIX), wanted, means)
        try:
            asyncio.run(probing.run())
        finally:
            page = write_reports(probing.folder, probing.record())
    found = probing.record()
    if not found.is_fine:
        raise ProbeFailed(_told(found, page))
    return found


def _told(found: Probe, page: Path) -> str:
    bad = [cell for cell in found.worst_first if cell.fate.is_bad]
    lines = [_line(cell) for cell in bad[:_MOST_TOLD]]
    if len(bad) > _MOST_TOLD:
        lines.append(f"and {len(bad) - _MOST_TOLD} more")
    if not bad:
        lines = [_line(cell) for cell in found.cells if cell.fate is Fate.UNKNOWN][:_MOST_TOLD]
    where = f"{len(bad)} of {len(found.cells)} points; see {page}"
    return "\n".join([f"{found.workflow} breaks at {where}:" if bad else where, *lines])


def _line(cell: Cell) -> str:
    return f"{cell.fate}, {cell.action} at {cell.boundary}: {cell.findings[0].text}"


def _unheard(_: str) -> None:
    """A test says nothing while it passes."""
