"""Alerts: every attempt of an activity after the first is logged, and sent where configured.

The queue is Temporal itself: an alert is an activity with its own task queue and retry policy, in a
workflow of its own, one for each receiver. So no activity waits for a receiver, one dead receiver
delays no other, and a crash of the worker loses nothing that Temporal has. `docs/alerts.md` tells
users what is promised.
"""

from __future__ import annotations

from workflows.alerts.alerts import Alerts
from workflows.alerts.receivers import load_receivers

__all__ = ["Alerts", "load_receivers"]
