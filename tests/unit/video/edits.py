"""Ways to change what a real run left behind, so that a check has something to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel

from tests.chaos.video.evidence import VideoEvidence

Model = TypeVar("Model", bound=BaseModel)
Where = Callable[[Any], bool]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def of(*kinds: type, **fields: object) -> Where:
    """Whether something is of one of these kinds, if any is named, with these fields."""

    def matches(found: object) -> bool:
        is_known = not kinds or isinstance(found, kinds)
        return is_known and all(getattr(found, name) == value for name, value in fields.items())

    return matches


def only(this: object) -> Where:
    """Whether something is this very one."""
    return lambda found: found is this


def later(by: timedelta) -> Callable[[datetime], datetime]:
    """A time after that; before it where `by` is negative."""
    return lambda at: at + by


def changed(model: Model, **update: Any) -> Model:
    """With other fields; one that can be called makes the new value of the former."""
    return model.model_copy(
        update={
            name: value(getattr(model, name)) if callable(value) else value
            for name, value in update.items()
        }
    )


def records(evidence: VideoEvidence, where: Where, **update: Any) -> VideoEvidence:
    """With some of the provider's records changed."""
    return replace(
        evidence, records=[changed(r, **update) if where(r) else r for r in evidence.records]
    )


def without_records(evidence: VideoEvidence, where: Where) -> VideoEvidence:
    """Without some of the provider's records."""
    return replace(evidence, records=[r for r in evidence.records if not where(r)])


def with_records(evidence: VideoEvidence, *more: Any) -> VideoEvidence:
    """With more of them at the end."""
    return replace(evidence, records=[*evidence.records, *more])


def entries(evidence: VideoEvidence, where: Where, **update: Any) -> VideoEvidence:
    """With some entries of the journal changed."""
    return replace(
        evidence, journal=[changed(e, **update) if where(e) else e for e in evidence.journal]
    )


def without(evidence: VideoEvidence, where: Where) -> VideoEvidence:
    """Without some entries of the journal."""
    return replace(evidence, journal=[e for e in evidence.journal if not where(e)])
