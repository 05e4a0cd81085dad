"""Sends one alert to one receiver, until the receiver accepts it.

Each receiver has a task queue of its own, and one alert at a time is sent to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from workflows.alerts.alert import Alert
from workflows.alerts.receivers import Receiver

# Not below "workflows.alerts", which logs alerts and nothing else.
logger = logging.getLogger("workflows.alert_delivery")

SEND_SECONDS = 30.0
"""How long a receiver may take. Long, because one that is cut off may have accepted the alert."""

START_TO_CLOSE_TIMEOUT = timedelta(seconds=40)
"""Longer than `SEND_SECONDS`. An alert that a worker sends when it is killed is sent again then."""

RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=5),
)

LONGEST_DELIVERY = timedelta(days=7)
"""After that the workflow of an alert fails. Apprise does not tell whether a receiver refuses for
good (its URL was revoked) or for now, so both are retried."""

NOT_ACCEPTED = "AlertNotAccepted"
"""Type of the failure of an attempt to send."""


@workflow.defn(sandboxed=False)  # it has nothing to guard, and a sandbox takes time to make
class SendAlert:
    """Sends one alert to the receiver whose task queue it runs on."""

    @workflow.run
    async def run(self, alert: Alert) -> None:
        """Fails when the receiver has not accepted the alert within `LONGEST_DELIVERY`."""
        await workflow.execute_activity(
            "send_alert",
            alert,
            start_to_close_timeout=START_TO_CLOSE_TIMEOUT,
            schedule_to_close_timeout=LONGEST_DELIVERY,
            retry_policy=RETRY_POLICY,
        )


class Sender:
    """The activity that sends to one receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        # Its own thread: a receiver that hangs must hold up neither another one nor an activity.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="alerts")
        self._refuses = False

    @activity.defn
    async def send_alert(self, alert: Alert) -> None:
        """Raises ApplicationError, which Temporal retries, if the alert is not accepted."""
        sending = asyncio.get_running_loop().run_in_executor(
            self._thread, self._receiver.send, alert
        )
        accepted = False
        with contextlib.suppress(TimeoutError):
            accepted = await asyncio.wait_for(sending, SEND_SECONDS)
        self._log_change(accepted=accepted)
        if not accepted:
            raise ApplicationError(
                f"{self._receiver.name} did not accept the alert.",
                type=NOT_ACCEPTED,
                # Otherwise the SDK logs each attempt with its traceback.
                category=ApplicationErrorCategory.BENIGN,
            )

    def close(self) -> None:
        """Start no more sending. One that hangs ends with the process."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _log_change(self, *, accepted: bool) -> None:
        if accepted and self._refuses:
            logger.info("%s accepts alerts again.", self._receiver.name)
        elif not accepted and not self._refuses:
            logger.warning(
                "%s does not accept alerts; they wait in Temporal and are sent again for %d days.",
                self._receiver.name,
                LONGEST_DELIVERY.days,
            )
        self._refuses = not accepted
