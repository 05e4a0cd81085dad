"""Takes alerts from a worker's activities, puts them on disk and has them delivered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from workflows import policies
from workflows.alerts.alert import Alert
from workflows.alerts.channel import Channel
from workflows.alerts.courier import Courier, logger
from workflows.alerts.interceptor import AlertInterceptor
from workflows.alerts.limits import Limits
from workflows.alerts.mail import Mailbox
from workflows.alerts.settings import AlertSettings
from workflows.alerts.spool import Spool, SpoolFullError, waiting_elsewhere
from workflows.alerts.webhook import Webhook

alert_logger = logging.getLogger("workflows.alerts")
"""Says alerts, one JSON object on one line each, and nothing else."""

_CUT_SECONDS = 1.0
"""How long a delivery that is broken off may take to let go."""


class Alerts:
    """The alerts of one worker. Use it by `async with`, around the worker.

    An alert that is on disk is delivered at least once, by this worker or by the next one that has
    the same folder. Never told by a channel, though always logged, is an alert whose worker was
    killed before it was on disk (the attempt had not begun then), which the disk did not take, or
    which came while `Limits.most_pending` waited.
    """

    def __init__(self, settings: AlertSettings, folder: Path, limits: Limits | None = None) -> None:
        self._folder = folder
        self._limits = limits or Limits()
        self._couriers = [
            Courier(channel, Spool(folder / channel.name, self._limits), self._limits)
            for channel in _channels(settings, self._limits)
        ]
        # Its own threads: those of the activities may all be busy. One for each of them.
        self._threads = ThreadPoolExecutor(policies.MAX_CONCURRENT_ACTIVITIES, "alerts")
        self._handovers: set[asyncio.Future[None]] = set()
        self._runs: list[asyncio.Task[None]] = []
        self.interceptor = AlertInterceptor(self.tell)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._look_round)
        self._runs = [asyncio.create_task(courier.run()) for courier in self._couriers]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Deliver what can be delivered within the farewell; the rest stays for the next worker."""
        end = asyncio.get_running_loop().time() + self._limits.farewell_seconds
        if self._handovers:
            await asyncio.wait(self._handovers, timeout=self._limits.farewell_seconds)
        for courier in self._couriers:
            courier.stop()
        if self._runs:
            left = max(0.0, end - asyncio.get_running_loop().time())
            await asyncio.wait(self._runs, timeout=left)
            for courier in self._couriers:
                courier.cut()
            await asyncio.wait(self._runs, timeout=_CUT_SECONDS)
            for run in self._runs:  # the disk hangs
                run.cancel()
            await asyncio.gather(*self._runs, return_exceptions=True)
        self._threads.shutdown(wait=False)
        await asyncio.gather(*(courier.channel.aclose() for courier in self._couriers))

    async def tell(self, alert: Alert) -> None:
        """Log an alert, and put it on disk for each channel. Waits for the disk, but not long."""
        alert_logger.warning("%s", alert.log_line)
        if not self._couriers:
            return
        handover = asyncio.get_running_loop().run_in_executor(self._threads, self._hand_over, alert)
        self._handovers.add(handover)
        handover.add_done_callback(self._handed_over)
        await asyncio.wait({handover}, timeout=self._limits.handover_seconds)

    def _handed_over(self, handover: asyncio.Future[None]) -> None:
        self._handovers.discard(handover)
        for courier in self._couriers:
            courier.wake()

    def _hand_over(self, alert: Alert) -> None:
        for courier in self._couriers:
            complain = partial(
                logger.error,
                "the alert %s (attempt %d of %s) does not go out by %s: %s.",
                alert.key,
                alert.attempt,
                alert.activity,
                courier.channel.name,
            )
            try:
                courier.spool.put(alert)
            except SpoolFullError:
                complain(f"{self._limits.most_pending} wait already in {courier.spool.folder}")
            except OSError as error:
                complain(f"{courier.spool.folder} cannot be written to ({error.strerror})")

    def _look_round(self) -> None:
        """Clear up after writers that were killed, and tell of alerts that nobody delivers."""
        try:
            for courier in self._couriers:
                courier.spool.sweep()
            if self._folder.is_dir():
                names = [courier.channel.name for courier in self._couriers]
                for channel, waiting in waiting_elsewhere(self._folder, names).items():
                    logger.warning(
                        "%d waiting in %s, whose channel is not configured; "
                        "configure it, or delete them.",
                        waiting,
                        self._folder / channel,
                    )
        except OSError as error:
            logger.error(
                "the folder of the alerts, %s, cannot be read (%s); mend it.",
                self._folder,
                error.strerror,
            )


def _channels(settings: AlertSettings, limits: Limits) -> Sequence[Channel]:
    channels: list[Channel] = []
    if settings.alert_webhook_url:
        channels.append(Webhook(settings.alert_webhook_url, timeout_seconds=limits.send_seconds))
    server, sender = settings.smtp_server, settings.alert_email_from
    if server and sender:
        channels.extend(
            Mailbox(server, sender, recipient, limits.send_seconds)
            for recipient in settings.recipients
        )
    return channels
