"""What is right for the cases of `provider/`: their prose as a table, for a program to judge by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.cases.calls import KEY, Got
from workflows.api_errors import Outcome

_A_DAY_SECONDS = 24 * 60 * 60.0


@dataclass(frozen=True)
class Right:
    """`ends`: the outcome of the error, or how that begins what came back. All of `says` stands in
    the words, whatever its case, and nothing of `hides`.
    """

    ends: Outcome | str
    says: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    wait_seconds: tuple[float, float] | None = None
    requests: int = 1

    def problems(self, got: Got) -> Iterator[str]:
        """What is not right of a call."""
        if isinstance(self.ends, Outcome):
            if got.outcome is not self.ends:
                yield f"not {self.ends}"
        elif got.outcome or got.code or not got.words.startswith(self.ends):
            yield f"not {self.ends!r}"
        words = got.words.lower()
        yield from (f"does not say {each!r}" for each in self.says if each.lower() not in words)
        hidden = (*self.hides, KEY, "<", ">")
        yield from (f"says {each!r}" for each in hidden if each.lower() in words)
        wait = got.retry_after_seconds
        low, high = self.wait_seconds or (0.0, _A_DAY_SECONDS)
        if (wait is None and self.wait_seconds) or not low <= (wait or low) <= high:
            yield f"waits {wait} s"
        if len(got.asked) != self.requests:
            yield f"{len(got.asked)} requests"
        if any(each.key and each.host != got.asked[0].host for each in got.asked):
            yield "the key went to another host"


_PERMANENT = Right(Outcome.PERMANENT)
_RETRYABLE = Right(Outcome.RETRYABLE)
_IN_DOUBT = Right(Outcome.IN_DOUBT)
_NOT_MADE = Right(Outcome.NOT_MADE)
_LOST = Right(Outcome.LOST)


def _says(right: Right, *words: str, hides: tuple[str, ...] = ()) -> Right:
    return replace(right, says=words, hides=hides)


def _by_call(paid: Right, free: Right) -> dict[str, Right]:
    return {"image": paid, "video": paid, "poll": free, "download": free}


def _each(right: Right) -> dict[str, Right]:
    return _by_call(right, right)


_NAME = Right("name models/veo-3.1-fast-generate-preview/operations/op1")

RIGHT: dict[str, dict[str, Right]] = {
    "i-audio-part": _each(_IN_DOUBT),
    "i-block-safety": _each(_says(_PERMANENT, "SAFETY", "reword", "prompt mentions x")),
    "i-block-unknown": _each(_says(_PERMANENT, "SOMETHING_NEW", "reword")),
    "i-block-unspecified": _each(_says(_RETRYABLE, hides=("blocked", "reword"))),
    "i-empty-candidates": _each(_says(_RETRYABLE, hides=("reword",))),
    "i-feedback-with-image": _each(Right("image/png of 48 bytes")),
    "i-filedata": _each(_says(_IN_DOUBT, "may have billed")),
    "i-image-empty-data": _each(_IN_DOUBT),
    "i-image-other": _each(_says(_RETRYABLE, "IMAGE_OTHER", hides=("reword",))),
    "i-jpeg": _each(Right("image/jpeg of 44 bytes")),
    "i-malformed": _each(_says(_RETRYABLE, "MALFORMED_FUNCTION_CALL", hides=("reword",))),
    "i-max-tokens": _each(_says(_IN_DOUBT, "MAX_TOKENS")),
    "i-no-candidates": _each(_says(_RETRYABLE, hides=("reword",))),
    "i-no-image": _each(_says(_RETRYABLE, "NO_IMAGE", hides=("reword",))),
    "i-prohibited": _each(
        _says(_PERMANENT, "IMAGE_PROHIBITED_CONTENT", "Support code: 42876398", "reword")
    ),
    # The last image that is no thought is the finished one; the case's prose is older than that.
    "i-several": _each(Right("image/jpeg of 44 bytes")),
    "i-text-only-billed": _each(_says(_IN_DOUBT, "Here is an image of a fox")),
    "i-text-only": _each(_says(_IN_DOUBT, "I can't draw that person")),
    "i-thought-image": _each(Right("image/png of 48 bytes")),
    "i-unknown-reason": _each(_says(_PERMANENT, "IMAGE_BRAND_NEW")),
    "q429-daily": _each(_says(_RETRYABLE, "exceeded your current quota", "day's quota", "UTC")),
    "q429-limit-zero": _each(_says(_PERMANENT, "limit: 0", "billing")),
    "q429-list-body": _each(
        replace(_says(_RETRYABLE, "Resource exhausted"), wait_seconds=(40.0, 40.0))
    ),
    "q429-no-details": _each(_says(_RETRYABLE, "Resource has been exhausted")),
    "q429-retry-after-header": _each(
        replace(_says(_RETRYABLE, "slow down"), wait_seconds=(120.0, 120.0))
    ),
    "q429-string-body": _each(_says(_RETRYABLE, "rate limited")),
    "q503-list-body": _each(_says(_RETRYABLE, "The model is overloaded")),
    "s200-gzip-broken": _each(_IN_DOUBT),
    "s202-accepted": _each(_NAME),
    "s302-download": _each(Right("a video of 24 bytes", requests=2)),
    "s307-post": _each(_says(_PERMANENT, "redirects", "307")),
    "s400-billing": _each(_says(_PERMANENT, "enable billing on your project")),
    "s400-key-invalid-flap": _each(_says(_RETRYABLE, "API key not valid")),
    "s400-location": _each(_says(_PERMANENT, "User location is not supported")),
    "s403-file": _each(_says(_LOST, "the File abc123", hides=("GEMINI_API_KEY",))),
    "s403-leaked": _each(_says(_PERMANENT, "leaked")),
    "s403-project-denied": _each(_says(_PERMANENT, "project has been denied access")),
    "s403-service-disabled": _each(
        _says(_PERMANENT, "https://console.developers.google.com/apis", "Enable the API")
    ),
    "s403-suspended": _each(_says(_PERMANENT, "suspended")),
    "s404-file-gone": _each(_says(_LOST, "expired", hides=("model",))),
    "s404-operation-gone": _each(_says(_LOST, "expired", "two days", hides=("model",))),
    "s407-proxy": _each(_says(_PERMANENT, "the proxy", "Proxy Authentication Required")),
    "s413-too-large": _each(_says(_PERMANENT, "413")),
    "s429-bad-encoding": _each(_RETRYABLE),
    "s429-bad-gzip": _each(_RETRYABLE),
    "s499-cancelled": _by_call(
        _says(_IN_DOUBT, "The operation was cancelled"),
        _says(_RETRYABLE, "The operation was cancelled"),
    ),
    "s500-internal": _by_call(
        _says(_IN_DOUBT, "An internal error"), _says(_RETRYABLE, "An internal error")
    ),
    "s502-html": _by_call(
        _says(_IN_DOUBT, "That's an error", hides=("margin",)),
        _says(_RETRYABLE, "That's an error", hides=("margin",)),
    ),
    "s503-overloaded": _each(_says(_RETRYABLE, "The model is overloaded")),
    "v-done-empty-response": _each(_says(_LOST, "delivered")),
    "v-done-nothing": _each(_says(_LOST, "delivered")),
    "v-error-13": _each(_says(_NOT_MADE, "internal server issue", "not been charged")),
    "v-error-14": _each(_says(_NOT_MADE, "high load")),
    "v-error-8": _each(_says(_NOT_MADE, "overloaded")),
    "v-error-empty": _each(_says(_LOST, "delivered")),
    "v-error-not-done": _each(_says(_NOT_MADE, "boom")),
    "v-filtered-reasons": _each(
        _says(_PERMANENT, "issue with the audio", "You have not been charged")
    ),
    "v-inline-bytes": _each(Right("a video of 12 bytes")),
    "v-name-missing": _each(_RETRYABLE),
    "v-start-200-error": _each(_IN_DOUBT),
    "v-start-done-at-once": _each(_NAME),
    "v-uri-other-host": _each(Right("uri https://storage.googleapis.com/bucket/abc.mp4?sig=1")),
}
"""By the name of the case and of the call."""
