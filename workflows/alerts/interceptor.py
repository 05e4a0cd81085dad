"""The worker's hook: sees each attempt begin, and tells of those after the first."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from workflows.alerts.alert import Alert

FIRST_ALERT = 2
"""The attempt from which on there is an alert."""

logger = logging.getLogger("workflows.alert_delivery")

Tell = Callable[[Alert], Awaitable[None]]


class AlertInterceptor(Interceptor):
    """Calls `tell` with an alert before an attempt ≥ 2 begins; the attempt waits for it."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - the SDK's name
    ) -> ActivityInboundInterceptor:
        """Put ourselves before the next one."""
        return _Inbound(next, self._tell)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, tell: Tell) -> None:
        super().__init__(following)
        self._tell = tell

    async def execute_activity(
        self,
        input: ExecuteActivityInput,  # noqa: A002 - the SDK's name
    ) -> Any:
        info = activity.info()
        if info.attempt >= FIRST_ALERT:
            try:
                await self._tell(Alert.of(info, _identity()))
            except Exception as error:  # noqa: BLE001 - no alert is worth an activity
                logger.error(  # noqa: TRY400 - a traceback might show what is secret
                    "no alert for attempt %d of %s: an unexpected %s.",
                    info.attempt,
                    info.activity_type,
                    type(error).__name__,
                )
        return await super().execute_activity(input)


def _identity() -> str:
    """The worker's name in Temporal's history."""
    try:
        return activity.client().identity
    except RuntimeError:  # an activity that is a plain function has no client
        return f"{os.getpid()}@{socket.gethostname()}"
