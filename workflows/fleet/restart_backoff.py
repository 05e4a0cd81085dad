"""How long to wait before a worker is started again: only if it dies young repeatedly."""

from __future__ import annotations

from dataclasses import dataclass

YOUNG_SECONDS = 2.0
"""A worker that was ready for less than this, or never, died young."""

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 60.0
_DOUBLINGS = 7
"""After these the longest delay is reached. Without a limit the power would overflow one day."""

LOOP_DEATHS = 5
"""So many young deaths in a row are a crash loop, which is logged as an error."""


@dataclass
class RestartBackoff:
    """Counts young deaths in a row. The first one may be chance and causes no delay."""

    young_deaths: int = 0

    def next_delay_seconds(self, lived_seconds: float | None) -> float:
        """The delay before the next start, after a worker that was ready for `lived_seconds` (None:
        it was never ready).
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
        """Whether there were `LOOP_DEATHS` young deaths in a row."""
        return self.young_deaths >= LOOP_DEATHS
