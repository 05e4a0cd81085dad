"""When a place in the fleet gets its next process: at once, unless processes there die young."""

from __future__ import annotations

from dataclasses import dataclass

YOUNG_SECONDS = 2.0
"""A process that was ready for less than this, or never, died young."""

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 60.0
_DOUBLINGS = 7
"""After which the longest delay is reached; a number that goes on growing has an end."""

LOOP_DEATHS = 5
"""So many young deaths in a row are a crash loop, and somebody is told."""


@dataclass
class Pace:
    """Counts the young deaths in a row. One may be chance, so it costs no delay."""

    young_deaths: int = 0

    def next_delay_seconds(self, lived_seconds: float | None) -> float:
        """The wait before the next start, after a process that was ready for so long (None: it
        never was).
        """
        if lived_seconds is not None and lived_seconds >= YOUNG_SECONDS:
            self.young_deaths = 0
            return 0.0
        self.young_deaths += 1
        if lived_seconds is not None and self.young_deaths == 1:
            return 0.0
        doublings = min(self.young_deaths - 1, _DOUBLINGS)
        return min(FIRST_DELAY_SECONDS * 2.0**doublings, LONGEST_DELAY_SECONDS)

    @property
    def is_crash_loop(self) -> bool:
        """Whether it is time to say so."""
        return self.young_deaths >= LOOP_DEATHS
