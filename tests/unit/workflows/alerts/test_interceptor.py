"""Attempts after the first make an alert before they begin; a failure there stops none."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Awaitable, Callable

import pytest
from temporalio import activity
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from workflows.alerts.alert import Alert
from workflows.alerts.interceptor import AlertInterceptor


class Activity(ActivityInboundInterceptor):
    """The end of the chain: the activity itself."""

    def __init__(self, events: list[str]) -> None:
        self.events = events

    async def execute_activity(self, input: ExecuteActivityInput) -> str:  # noqa: A002 - the SDK's
        self.events.append(f"began with {input.args[0]}")
        return "done"


async def run(attempt: int, tell: Callable[[Alert], Awaitable[None]], events: list[str]) -> object:
    """Run an activity at this attempt behind the interceptor."""
    chain = AlertInterceptor(tell, "123@host").intercept_activity(Activity(events))
    order = ExecuteActivityInput(fn=print, args=["order"], executor=None, headers={})

    @activity.defn
    async def begin() -> object:
        return await chain.execute_activity(order)

    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.default_info(), attempt=attempt)
    return await environment.run(begin)


@pytest.mark.parametrize(
    ("attempt", "alerts"), [(1, []), (2, ["alert of 2"]), (17, ["alert of 17"])]
)
async def test_each_attempt_after_the_first_makes_an_alert_before_it_begins(
    attempt: int, alerts: list[str]
) -> None:
    events: list[str] = []

    async def tell(alert: Alert) -> None:
        events.append(f"alert of {alert.attempt}")

    assert await run(attempt, tell, events) == "done"
    assert events == [*alerts, "began with order"]


async def test_an_alert_that_fails_does_not_stop_the_activity(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events: list[str] = []

    async def tell(alert: Alert) -> None:
        raise LookupError(f"hush-hush {alert.attempt}")

    assert await run(2, tell, events) == "done"
    assert events == ["began with order"]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().endswith("an unexpected LookupError.")
    assert "hush-hush" not in caplog.text
