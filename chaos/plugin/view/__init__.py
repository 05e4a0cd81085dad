"""Showing a run while it goes on: plain lines, or one table that lives on a terminal."""

from __future__ import annotations

from typing import Protocol

from chaos.experiment.events import Told


class View(Protocol):
    """Shows a run to who watches it. Everything is called by the thread that waits for results."""

    def tell(self, told: Told) -> None:
        """Take note of what has happened."""

    def refresh(self, now_seconds: float) -> None:
        """Show how things stand; called again and again while a result is waited for."""

    def leave(self) -> None:
        """Leave the terminal to others, until the next refresh."""


class NoView:
    """Shows nothing."""

    def tell(self, told: Told) -> None:
        """Nothing."""

    def refresh(self, now_seconds: float) -> None:
        """Nothing."""

    def leave(self) -> None:
        """Nothing."""
