"""Alerts: whenever an activity begins again, at attempt 2 or later, somebody is told.

By a log line always, by a Slack-compatible webhook and by e-mail where they are configured. Every
alert is first put on disk, then delivered from there, at least once: a receiver that is slow, down
or refuses for now delays its own alerts and nothing else, and neither a crash nor a restart of the
worker loses them. Only a crash between a receiver's acceptance and the deletion of the file, or an
answer that comes too late, delivers an alert twice; its e-mail has the same Message-ID then.
"""

from __future__ import annotations

from workflows.alerts.desk import Alerts
from workflows.alerts.settings import AlertSettings, load_alert_settings

__all__ = ["AlertSettings", "Alerts", "load_alert_settings"]
