"""The receivers of alerts: the Apprise URLs in `ALERT_URLS`. Each URL is a secret."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workflows.alerts.alert import Alert
from workflows.settings import SettingsError

if TYPE_CHECKING:
    import apprise

VARIABLE = "ALERT_URLS"

FORMER_VARIABLES = ("ALERT_WEBHOOK_URL", "ALERT_SMTP_URL", "ALERT_EMAIL_FROM", "ALERT_EMAIL_TO")

_LOG_URLS = ("apprise", "urllib3", "requests_oauthlib", "oauthlib")
"""Loggers of libraries that show URLs, some only in their debug messages."""


class Receiver:
    """One receiver. `name` tells which one, without its URL."""

    def __init__(self, number: int, service: apprise.NotifyBase, sender: apprise.Apprise) -> None:
        self.name = f"receiver {number} of {VARIABLE} ({service.service_name})"
        self._sender = sender
        sender.add(service)

    def send(self, alert: Alert) -> bool:
        """Send an alert; whether the receiver has accepted it. Blocks, for a few seconds as a rule.

        Raises nothing: an error of the network shows the URL that it was for.
        """
        try:
            return bool(
                self._sender.notify(
                    title=alert.title, body=alert.text, notify_type="warning", body_format="text"
                )
            )
        except Exception:  # noqa: BLE001 - whatever it is, it may show the URL
            return False


def load_receivers() -> Sequence[Receiver]:
    """The receivers that the environment names. Raises SettingsError without showing a URL."""
    former = [name for name in FORMER_VARIABLES if os.environ.get(name)]
    if former:
        raise SettingsError(
            f"{' and '.join(former)} no longer exist; name all receivers of alerts in {VARIABLE}, "
            "as Apprise URLs such as https://hooks.slack.com/services/… and "
            "mailtos://user:password@example.com?to=ops@example.com."
        )
    urls = os.environ.get(VARIABLE, "").strip()
    if not urls:
        return ()
    for name in _LOG_URLS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # It takes 0.3 s of CPU, so only the workers that send alerts import it.
    import apprise  # noqa: PLC0415

    found = apprise.Apprise()
    try:
        # Apprise ignores what stands before the first URL.
        are_right = bool(re.match(r"[a-z0-9]+://", urls)) and found.add(urls)
    except Exception:  # noqa: BLE001 - it may show the URL
        are_right = False
    if not are_right:
        raise SettingsError(
            f"{VARIABLE} must be Apprise URLs, separated by spaces or commas, and at least one is "
            "not; the command `apprise -vv -b test URL` shows what is wrong with a URL."
        )
    return [Receiver(number, each, apprise.Apprise()) for number, each in enumerate(found, 1)]
