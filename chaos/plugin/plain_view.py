"""A line for each thing that happens, as it happens: for CI, for pipes, and for who prefers it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from chaos.evidence.text import line
from chaos.experiment.events import Finished, Journaled, Message, NoView, TimedEvent


class PlainView(NoView):
    """Shows each line at once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def handle(self, timed: TimedEvent) -> None:
        """Show its line, where it has one."""
        if text := line_of(timed):
            with suppress(OSError):  # that nobody reads it is no reason to end a run
                self._say(text)


def line_of(timed: TimedEvent) -> str | None:
    """What happened to whom, and when; None where nobody needs to read of it."""
    match timed.event:
        case Message(about=about, text=text):
            return _line(timed, about, text)
        case Journaled(case=case, entry=entry) if entry.text:
            return _line(timed, str(case), entry.text)
        case Finished(scenario=scenario, verdict=verdict, reason=reason):
            return _line(timed, scenario, f"{verdict}: {reason}")
        case _:
            return None


def _line(timed: TimedEvent, about: str, text: str) -> str:
    return line(f"{timed.at_seconds:6.1f} s  {about}: {text}")
