"""The attempts that a worker process has in flight, as far as it has reported them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from workflows.fleet.reports import Event, Report

JUST_ENDED_SECONDS = 5.0
"""A worker reports the end of an attempt before the server has its result. For so long the attempt
still counts as in flight; if the server has the result, it refuses the token."""

_WORKFLOWS_KEPT = 8


@dataclass
class InFlight:
    """Follows the reports of one worker. It holds no more than what that worker does now."""

    identity: str | None = None
    is_ready: bool = False
    last_heard: float = field(default_factory=time.monotonic)
    _attempts: dict[bytes, str] = field(default_factory=dict)
    _ended: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    _workflows: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def take(self, report: Report) -> None:
        """Apply a report."""
        self.last_heard = time.monotonic()
        if report.event is Event.READY:
            self.identity, self.is_ready = report.identity, True
        elif report.event is Event.BEGAN and report.token:
            self._attempts[report.token] = report.what or ""
        elif report.event is Event.ENDED and report.token:
            self._ended[report.token] = self.last_heard
        elif report.event is Event.WORKFLOW and report.workflow_id:
            self._workflows[report.workflow_id] = None
            self._workflows.move_to_end(report.workflow_id)
            while len(self._workflows) > _WORKFLOWS_KEPT:
                self._workflows.popitem(last=False)
        self._forget_ended()

    @property
    def attempts(self) -> dict[bytes, str]:
        """The attempts that may be lost with the worker: a description for each token."""
        return dict(self._attempts)

    @property
    def unfinished(self) -> int:
        """How many attempts have not ended."""
        return len(self._attempts.keys() - self._ended.keys())

    @property
    def workflows(self) -> Sequence[str]:
        """Some of the workflows in the worker's cache, the newest first."""
        return tuple(reversed(self._workflows))

    def _forget_ended(self) -> None:
        while self._ended:
            token, at = next(iter(self._ended.items()))
            if self.last_heard - at < JUST_ENDED_SECONDS:
                return
            del self._ended[token]
            self._attempts.pop(token, None)
