"""What a machine found out about a case, into the store: the evidence first, the verdict last.

Whatever dies in between, there is either a whole verdict with all of its evidence, or none, and
then the case runs again. The first verdict counts; it is never written over.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from pydantic import ValidationError

from chaos.evidence.text import plain
from chaos.invariants.verdict import Verdict
from chaos.search.campaign import names
from chaos.search.campaign.bundles import keep
from chaos.search.campaign.found import Found
from chaos.search.campaign.model import (
    CaseRecord,
    CaseRef,
    Judged,
    Keep,
    Lost,
    Versions,
)
from chaos.search.campaign.store import DamagedError, Store, StoreError

_LONGEST_REASON = 1000
"""Of what the workflow is told; the whole is in `found`."""

SUITE = "pytest-temporal-chaos"

MOST_BYTES = 32 * 1024 * 1024
"""Of a verdict, and of what else is read whole as JSON."""


@dataclass(frozen=True)
class Attempted:
    """An attempt of a case that has come to a verdict; its evidence is in `folder`."""

    ref: CaseRef
    found: Found
    folder: Path
    machine: str
    slots: int
    attempt: int
    lost: tuple[Lost, ...]
    began_at: datetime
    ended_at: datetime
    server: str
    code: str
    cpu_seconds: float


def read_record(store: Store, case: str) -> CaseRecord | None:
    """The verdict of a case, if it has one. Raises DamagedError if somebody else has written it,
    StoreError.
    """
    data = store.read(names.verdict(case), MOST_BYTES)
    if data is None:
        return None
    with suppress(ValidationError):
        record = CaseRecord.model_validate_json(data)
        if {record.case.name, record.judged.name} == {case}:
            return record
    raise DamagedError(
        f"{names.verdict(case)} is not what a campaign writes: remove it, and the case runs again."
    )


def keep_case(store: Store, attempted: Attempted, what: Keep) -> CaseRecord:
    """Write the evidence of an attempt and its verdict; return the verdict that counts, which is
    somebody else's if that was first. Raises StoreError, BundleError, OSError.
    """
    name, passed = attempted.ref.name, attempted.found.verdict is Verdict.PASSED
    bundle: tuple[str, dict[str, str]] = ("", {})
    if what is Keep.ALL or not passed:
        bundle = keep(store, name, attempted.folder)
    record = _record(attempted, *bundle)
    if store.create(names.verdict(name), record.model_dump_json(indent=1).encode()):
        return record
    first = read_record(store, name)
    if first is None:
        raise StoreError(f"{names.verdict(name)} was there and cannot be read.")
    return first


def _record(attempted: Attempted, bundle: str, files: dict[str, str]) -> CaseRecord:
    found = attempted.found
    judged = Judged(
        name=attempted.ref.name,
        verdict=found.verdict,
        reason=plain(found.reason, _LONGEST_REASON),
        broke=found.broke,
        machine=attempted.machine,
        slots=attempted.slots,
        attempt=attempted.attempt,
        lost=attempted.lost,
        seconds=round((attempted.ended_at - attempted.began_at).total_seconds(), 3),
        cells=found.cells,
        shapes=found.shapes,
    )
    return CaseRecord(
        judged=judged,
        case=attempted.ref,
        versions=Versions(
            suite=_version(SUITE),
            sdk=_version("temporalio"),
            server=attempted.server,
            python=platform.python_version(),
            target=attempted.code,
        ),
        began_at=attempted.began_at,
        ended_at=attempted.ended_at,
        cpu_seconds=attempted.cpu_seconds,
        bundle=bundle,
        files=files,
        found=found.found,
    )


@dataclass
class CpuClock:
    """The CPU seconds of this process and all that it has started, living or reaped."""

    _told: float = 0.0

    def since_last(self) -> float:
        """Those since the last call. So the cases of a machine share all that it takes, also what
        no case takes alone: its start, a stack that is kept warm, the harness.
        """
        now = max(_used(), self._told)
        since, self._told = now - self._told, now
        return round(since, 2)


def _used() -> float:
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.Error):  # it has ended meanwhile
            total += sum(process.cpu_times()[:4])  # its own, and of the children that it reaped
    return total


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
