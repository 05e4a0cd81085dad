"""What an alert says, and what identifies it."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Self

from temporalio.activity import Info

from workflows.models import Record


class Alert(Record):
    """An attempt after the first. `time` is the server's time of its begin.

    `maximum_attempts` is 0 if there is no limit, None if the server does not name one. Nothing here
    may be a secret: an alert is a payload in Temporal.
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
        """Identifies the attempt, the same in each process and however often it is used."""
        parts = [self.namespace, self.workflow_id, self.run_id, self.activity_id, self.attempt]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    @property
    def title(self) -> str:
        """The subject of a mail."""
        return _one_line(f"{self.workflow_id or self.activity}: attempt {self.attempt}")

    @property
    def text(self) -> str:
        """One line for people."""
        subject = f"{self.workflow_type} {self.workflow_id}" if self.workflow_id else "no workflow"
        limit = f" of {self.maximum_attempts}" if self.maximum_attempts else ""
        number = f"{self.attempt}{limit}"
        return _one_line(
            f"{subject}: {self.activity} is at attempt {number} (worker {self.worker})."
        )

    @property
    def log_line(self) -> str:
        """All of it as one JSON object on one line, in ASCII: an id may have line breaks."""
        return json.dumps({"event": "activity_retry", **self.model_dump(mode="json")})


def _one_line(text: str) -> str:
    """An operation's name must not add lines to a message, or headers to a mail."""
    return "".join(character if character.isprintable() else " " for character in text)
