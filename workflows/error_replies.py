"""What an error reply says, however it is wrapped."""

from __future__ import annotations

import html
import json
import re
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import httpx

_LONGEST_WISH_SECONDS = 24 * 60 * 60.0
"""No quota of the provider lasts longer than a day."""

_LONGEST_WORDS = 300
"""Characters of what the provider said; each is kept in a history."""


@dataclass(frozen=True)
class ErrorReply:
    """What an error reply says, however it is wrapped. `in_json`: as the provider itself does."""

    http_status: int
    message: str = ""
    status: str = ""
    details: tuple[dict[str, object], ...] = ()
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    in_json: bool = False

    @classmethod
    def of(cls, response: httpx.Response) -> ErrorReply:
        """Read a reply as far as it can be read: JSON, in a list or not, a web page, or noise."""
        try:
            text = response.text
        except (httpx.StreamError, httpx.DecodingError, LookupError):
            text = ""
        try:
            body = json.loads(response.content) if text else None
        except (ValueError, RecursionError):
            body = text
        if isinstance(body, list) and body:
            body = body[0]
        error = body.get("error", body) if isinstance(body, dict) else body
        found = error if isinstance(error, dict) else {"message": error or ""}
        details = found.get("details")
        return cls(
            http_status=response.status_code,
            message=str(found.get("message") or ""),
            status=str(found.get("status", "")),
            details=tuple(d for d in details if isinstance(d, dict))
            if isinstance(details, list)
            else (),
            headers=response.headers,
            in_json=isinstance(error, dict),
        )

    @property
    def words(self) -> str:
        """The provider's own sentence."""
        return in_short(self.message) or "No reason was given."

    @property
    def reason(self) -> str:
        """The `reason` of its ErrorInfo, such as SERVICE_DISABLED."""
        return next((str(d["reason"]) for d in self.details if "reason" in d), "")

    @property
    def is_about_the_key(self) -> bool:
        """Whether the key is what is wrong with the request."""
        return self.reason == "API_KEY_INVALID" or bool(
            re.search(r"API key (not valid|expired|not found)", self.message, re.IGNORECASE)
        )

    @property
    def violations(self) -> tuple[dict[str, object], ...]:
        """Of its QuotaFailure: which quotas are used up."""
        listed = (d.get("violations") for d in self.details)
        each = (v for violations in listed if isinstance(violations, list) for v in violations)
        return tuple(v for v in each if isinstance(v, dict))

    @property
    def has_no_quota(self) -> bool:
        """Whether the plan allows none at all, today or ever."""
        zero = any(str(v.get("quotaValue")) == "0" for v in self.violations)
        return zero or bool(re.search(r"\blimit: 0(?!\.?\d)", self.message))

    @property
    def is_daily(self) -> bool:
        """Whether it is a day's quota that is used up."""
        named = " ".join(map(str, self.violations)) or self.message
        return bool(re.search(r"per[ _]?day|\bdaily\b", named, re.IGNORECASE))

    @property
    def retry_after_seconds(self) -> float | None:
        """`retryDelay` of its RetryInfo or the header Retry-After, the longer of both."""
        wishes = [_seconds(str(d["retryDelay"])) for d in self.details if "retryDelay" in d]
        wishes.append(_of_header(self.headers.get("retry-after", "")))
        longest = max((wish for wish in wishes if wish is not None), default=None)
        return None if longest is None else min(longest, _LONGEST_WISH_SECONDS)


_TAGS = re.compile(
    r"<!--.*?(?:-->|\Z)|<(style|script|title)\b.*?(?:</\1\s*>|\Z)|</?[a-z!][^<>]*>",
    re.IGNORECASE | re.DOTALL,
)
"""Each as far as it goes where its end is missing, so that the longest page takes no time."""


def in_short(text: str) -> str:
    """Words for a person: without tags, on one line, ended by a full stop, not too long."""
    text = " ".join(_TAGS.sub(" ", html.unescape(text)).split())
    if len(text) > _LONGEST_WORDS:
        # Not within a word: half a key is not found where the key is taken out.
        text = f"{re.sub('[!-~]+$', '', text[: _LONGEST_WORDS + 1])[:_LONGEST_WORDS].rstrip()}…"
    return text if not text or text[-1] in ".!?…" else f"{text}."


def _seconds(text: str) -> float | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)s?", text.strip())
    return float(found.group(1)) if found else None


def _of_header(text: str) -> float | None:
    """Seconds, or until a date. None where it says neither."""
    if not text or _seconds(text) is not None:
        return _seconds(text) if text else None
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
