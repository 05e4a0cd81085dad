"""What the real client makes of a case, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from tests.cases.case import CallName, Case
from tests.cases.server import Asked, Provider
from workflows.api_errors import ApiError, Outcome
from workflows.gemini import Gemini
from workflows.settings import Settings
from workflows.success_replies import Image, MadeVideo

KEY = "k-hidden-0123456789"
"""The key that some cases repeat."""

_OPERATION = "models/veo-3.1-fast-generate-preview/operations/op1"
_URI = "https://generativelanguage.googleapis.com/v1beta/files/abc123:download?alt=media"


@dataclass(frozen=True)
class Got:
    """How a call ended: `outcome` and `code` of its error, or neither; in `words` what it says or
    what came back. `asked`: the requests that it took.
    """

    words: str
    asked: tuple[Asked, ...]
    outcome: Outcome | None = None
    code: str = ""
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        wait = self.retry_after_seconds
        ended = f"{self.outcome} {self.code}: " if self.outcome else self.code and f"{self.code}: "
        return f"{ended}{self.words}" + (f" [retry after {wait:g} s]" if wait is not None else "")


async def play(
    cases: Sequence[Case], make: Callable[[Settings], Gemini] = Gemini
) -> dict[tuple[str, CallName], Got]:
    """Play all cases to a client, one call at a time; what it makes of each."""
    with Provider() as provider:
        settings = Settings(gemini_api_key=SecretStr(KEY), google_gemini_base_url=provider.base_url)
        async with make(settings) as gemini:
            return {
                (case.name, call): await _make_call(gemini, provider, case, call)
                for case in cases
                for call in case.call
            }


async def _make_call(gemini: Gemini, provider: Provider, case: Case, call: CallName) -> Got:
    """Have the provider play a case to one call."""
    provider.play(case)
    try:
        words = await _called(gemini, call)
    except ApiError as error:
        return Got(
            words=str(error),
            asked=tuple(provider.asked),
            outcome=error.outcome,
            code=error.code,
            retry_after_seconds=error.retry_after_seconds,
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return Got(f"{type(error).__name__}: {error}", tuple(provider.asked), code="crash")
    return Got(words, tuple(provider.asked))


async def _called(gemini: Gemini, call: CallName) -> str:
    match call:
        case "image":
            image = await gemini.generate_image("a fox")
            return f"{image.mime_type} of {len(image.data)} bytes"
        case "video":
            return "name " + await gemini.start_video("it waves", Image(b"\x89PNG", "image/png"))
        case "poll":
            return _told(await gemini.poll_video(_OPERATION))
        case "download":
            return f"a video of {len(await gemini.download_video(_URI))} bytes"


def _told(made: MadeVideo | None) -> str:
    if made is None:
        return "still in the making"
    return f"uri {made.uri}" if made.uri else f"a video of {len(made.data or b'')} bytes"
