"""What a channel is: one way to one receiver, with an outcome for each alert."""

from __future__ import annotations

from typing import Protocol

from workflows.alerts.alert import Alert


class PostponedError(Exception):
    """The receiver did not take an alert now. The message says why, and holds no secret.

    `wish_seconds` is how long it asked to be left alone.
    """

    def __init__(self, reason: str, wish_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.wish_seconds = wish_seconds


class RefusedError(Exception):
    """The receiver will never take this alert. The message says why, and holds no secret."""


class Channel(Protocol):
    """One receiver. `name` names its folder in the spool, `variables` what configures it."""

    @property
    def name(self) -> str:
        """Stable over restarts, and fit for a file name."""

    @property
    def variables(self) -> str:
        """What to mend where it refuses."""

    async def send(self, alert: Alert) -> None:
        """Return once it is accepted. Raises PostponedError or RefusedError."""

    async def aclose(self) -> None:
        """Let go of connections."""
