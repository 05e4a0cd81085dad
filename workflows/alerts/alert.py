"""What an alert says, and what makes it the same alert."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Self

from temporalio.activity import Info

from workflows.models import Record


class Alert(Record):
    """An activity that began again. `time` is the server's time of that attempt's begin.

    `maximum_attempts` is 0 where there is no limit, None where the server does not tell.
    """

    namespace: str
    workflow_type: str | None
    workflow_id: str | None
    run_id: str | None
    activity: str
    activity_id: str
    attempt: int
    maximum_attempts: int | None
    task_queue: str
    worker: str
    time: datetime

    @classmethod
    def of(cls, info: Info, worker: str) -> Self:
        """The alert of a running activity."""
        return cls(
            namespace=info.namespace,
            workflow_type=info.workflow_type,
            workflow_id=info.workflow_id,
            run_id=info.workflow_run_id or info.activity_run_id,
            activity=info.activity_type,
            activity_id=info.activity_id,
            attempt=info.attempt,
            maximum_attempts=info.retry_policy.maximum_attempts if info.retry_policy else None,
            task_queue=info.task_queue,
            worker=worker,
            time=info.started_time,
        )

    @property
    def key(self) -> str:
        """The name of the attempt, the same wherever and however often it is told of."""
        parts = [self.namespace, self.workflow_id, self.run_id, self.activity_id, self.attempt]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @property
    def text(self) -> str:
        """One line for a human."""
        who = f"{self.workflow_type} {self.workflow_id}" if self.workflow_id else "no workflow"
        limit = f" of {self.maximum_attempts}" if self.maximum_attempts else ""
        return _one_line(
            f"{who}: {self.activity} is at attempt {self.attempt}{limit} (worker {self.worker})."
        )

    @property
    def log_line(self) -> str:
        """All of it as one JSON object on one line, in ASCII: an id may hold any line break."""
        return json.dumps({"event": "activity_retry", **self.model_dump(mode="json")})


def _one_line(text: str) -> str:
    """Whoever names an operation must not write further lines, or headers of a mail."""
    return "".join(character if character.isprintable() else " " for character in text)
