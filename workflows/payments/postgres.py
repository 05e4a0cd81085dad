"""A connection to PostgreSQL that waits for an answer only so long."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Self

import psycopg


class AnsweringConnection(psycopg.Connection[Any]):
    """One whose every wait for the server ends: with the answer, or with an OperationalError.

    Neither the protocol nor the driver has such a bound: a server that is stopped, or that hangs
    on its disk, keeps its connections open, and its kernel acknowledges whatever it is sent. After
    that the connection is closed, for nobody knows what is still on its way.
    """

    _patience_seconds = 0.0

    def within(self, seconds: float) -> Self:
        """Bound each wait from now on."""
        self._patience_seconds = seconds
        return self

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **options: Any) -> Any:
        """As the driver's own, which asks again several times a second. Raises OperationalError."""
        if not self._patience_seconds:
            return super().wait(gen, *arguments, **options)
        end = time.monotonic() + self._patience_seconds
        try:
            return super().wait(_until(end, gen), *arguments, **options)
        except TimeoutError:
            self.close()
            raise psycopg.OperationalError("no answer in time") from None


def _until(end: float, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The same steps, as long as there is time. Raises TimeoutError."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > end:
                raise TimeoutError
            wanted = steps.send(ready)
    except StopIteration as done:
        return done.value
