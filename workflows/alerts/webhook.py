"""A Slack-compatible incoming webhook: `{"text": …}`, posted."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from pydantic import SecretStr

from workflows.alerts.alert import Alert
from workflows.alerts.channel import PostponedError, RefusedError

_PASSING = frozenset({408, 425, 429})
"""Refusals (4xx) that another try may mend."""

_posting: ContextVar[bool] = ContextVar("posting", default=False)


class _Hush(logging.Filter):
    """Keeps httpx, which logs each request with its URL, silent about ours."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - whatever it says
        return not _posting.get()


logging.getLogger("httpx").addFilter(_Hush())


def _now() -> datetime:
    return datetime.now(UTC)


class Webhook:
    """The webhook behind one URL, which is a credential and turns up nowhere.

    Redirects are not followed. One that needs another URL keeps its alerts waiting until it is set.
    """

    name = "webhook"
    variables = "ALERT_WEBHOOK_URL"

    def __init__(
        self, url: SecretStr, *, timeout_seconds: float, now: Callable[[], datetime] = _now
    ) -> None:
        self._url = url
        self._now = now
        self._client = httpx.AsyncClient(timeout=timeout_seconds, follow_redirects=False)

    async def send(self, alert: Alert) -> None:
        """Post it. Raises PostponedError or RefusedError."""
        token = _posting.set(True)
        try:
            # Only the head of the answer counts: what breaks after it must not post again.
            async with self._client.stream(
                "POST", self._url.get_secret_value(), json={"text": _escaped(alert.text)}
            ) as answer:
                status, wish = answer.status_code, answer.headers.get("retry-after")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # The error holds the request, and the request the URL.
            raise PostponedError(f"it cannot be reached ({type(error).__name__})") from None
        finally:
            _posting.reset(token)
        if httpx.codes.is_success(status):
            return
        if httpx.codes.is_client_error(status) and status not in _PASSING:
            raise RefusedError(f"it answered HTTP {status}")
        raise PostponedError(f"it answered HTTP {status}", self._seconds(wish))

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    def _seconds(self, wish: str | None) -> float | None:
        """A `Retry-After`, which is a number of seconds or a date; None where it is neither."""
        if wish is None:
            return None
        try:
            seconds = float(wish)
        except ValueError:
            try:
                seconds = (_aware(parsedate_to_datetime(wish)) - self._now()).total_seconds()
            except ValueError:
                return None
        return max(0.0, seconds) if math.isfinite(seconds) else None


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _escaped(text: str) -> str:
    """Slack's own escapes: a name such as `<!channel>` must not call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
