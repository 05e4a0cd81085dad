"""The boundaries of a line's calls, what they are called on record, and what is decided there."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from http import HTTPStatus

import h11

from chaos.network.journal import RecordFile
from chaos.wire.boundary import Boundary, Crossing, Kind, Stage, numbered
from chaos.wire.breakages import Breakages
from chaos.wire.breakpoints import Breakpoints
from chaos.wire.journal import service_of
from chaos.wire.limits import Excess, Limits
from chaos.wire.specs import Breakage

STATUSES = tuple(str(status.value) for status in HTTPStatus if status >= HTTPStatus.OK)
"""With which a call can be answered in the service's place."""

KEY_CHARACTERS = 200
"""The longest idempotency key that is put on record as it is."""

_KEY_HEADERS = (
    b"idempotency-key",
    b"x-idempotency-key",
    b"paypal-request-id",
    b"repeatability-request-id",
)
"""By which services tell a repeated request. `X-Request-Id` is none: it is new for each attempt."""

_WITH_A_DIGIT = re.compile(r"[^/:]*[0-9][^/:]*")
"""A word of a path; `models/x-1:predict` has three."""

_ORIGIN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")

Busy = Callable[[], Sequence[Crossing]]
"""The activities that the worker of a line has in flight, as they were delivered."""


class Gate:
    """One for each line; `busy` tells what its worker has in flight."""

    def __init__(
        self,
        breakpoints: Breakpoints,
        breakages: Breakages,
        limits: Limits,
        journal: RecordFile,
        busy: Busy,
    ) -> None:
        self._breakpoints = breakpoints
        self._breakages = breakages
        self._limits = limits
        self._journal = journal
        self._busy = busy
        self._counts: Counter[str] = Counter()

    def number(self, subject: str) -> int:
        """Of a new call, among those of its subject since the line was opened."""
        self._counts[subject] += 1
        return self._counts[subject]

    def crossing(self, subject: str, stage: Stage, number: int) -> Crossing:
        """A call comes to a boundary, now."""
        boundary = Boundary(kind=Kind.CALL, subject=subject, stage=stage, ordinal=number)
        busy = self._busy()
        places = [activity.boundary for activity in busy]
        runs = {(activity.workflow_id, activity.run_id) for activity in busy}
        workflow_id, run_id = runs.pop() if len(runs) == 1 else ("", "")
        return Crossing(
            boundary=boundary,
            workflow_id=workflow_id,
            run_id=run_id,
            attempt=busy[0].attempt if len(busy) == 1 else 1,
            during=tuple(sorted(numbered(each.subject, each.ordinal) for each in places)),
        )

    def breakage(self, method: str) -> Breakage | None:
        """How the service is broken for a call of that method, which has come."""
        return self._breakages.of(service_of(self._journal.line), method)

    def is_watched(self, crossing: Crossing) -> bool:
        """Whether the call may have to be held there."""
        return self._breakpoints.are_at(self._journal.line, (crossing,))

    async def decided(self, crossing: Crossing, peer: int) -> str:
        """What becomes of it, as soon as that is known; empty where it has not to be held. It comes
        from the worker's port `peer`.
        """
        return await self._breakpoints.at(self._journal, (crossing,), STATUSES, peer)

    def excess(self) -> Excess | None:
        """What a limit on the service does to one more request; None: it passes."""
        return self._limits.excess(service_of(self._journal.line))


def subject_of(request: h11.Request) -> str:
    """What a request is called on record, where nothing may be a secret: method and path, such as
    `POST /charges/*/refund`. Words with a digit are `*`, and there is no query string.
    """
    target = _ORIGIN.sub("", request.target.decode("ascii", "replace"), count=1)
    path = re.split(r"[?#]", target, maxsplit=1)[0] or "/"
    return f"{request.method.decode('ascii')} {_WITH_A_DIGIT.sub('*', path)}"


def idempotency_key_of(request: h11.Request) -> str:
    """The key by which the service can tell that it was asked before; empty where there is none.
    Of a very long one it is the hash.
    """
    headers = dict(request.headers)
    key = next((headers[name] for name in _KEY_HEADERS if headers.get(name)), b"")
    if len(key) > KEY_CHARACTERS:
        return f"sha256:{hashlib.sha256(key).hexdigest()}"
    return key.decode("ascii", "replace")
