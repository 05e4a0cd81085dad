"""The workflows that a worker runs. A new one is one file and one line here."""

from __future__ import annotations

from workflows.series_video import SeriesVideo
from workflows.single_video import SingleVideo

WORKFLOWS = (SingleVideo, SeriesVideo)
