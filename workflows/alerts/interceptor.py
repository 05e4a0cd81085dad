"""The worker's hook: it sees each attempt begin, and makes an alert of those after the first."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from workflows.alerts.alert import Alert

FIRST_ALERT = 2
"""The attempt from which on there is an alert."""

logger = logging.getLogger("workflows.alert_delivery")


@dataclass
class AlertInterceptor(Interceptor):
    """Calls `tell` with an alert before an attempt ≥ 2 begins; the attempt waits for `tell`.

    `worker` is the worker's identity.
    """

    tell: Callable[[Alert], Awaitable[None]]
    worker: str

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - the SDK's name
    ) -> ActivityInboundInterceptor:
        """Wrap every attempt."""
        return _Inbound(next, self)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, alerts: AlertInterceptor) -> None:
        super().__init__(following)
        self._alerts = alerts

    async def execute_activity(
        self,
        input: ExecuteActivityInput,  # noqa: A002 - the SDK's name
    ) -> Any:
        info = activity.info()
        if info.attempt >= FIRST_ALERT:
            try:
                await self._alerts.tell(Alert.of(info, self._alerts.worker))
            except Exception as error:  # noqa: BLE001 - an alert must not fail an activity
                logger.error(  # noqa: TRY400 - a traceback might show a secret
                    "no alert was made for attempt %d of %s: an unexpected %s.",
                    info.attempt,
                    info.activity_type,
                    type(error).__name__,
                )
        return await super().execute_activity(input)
