"""Annotations on GitHub: workflow commands, which GitHub Actions reads from a job's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaos.evidence.text import plain
from chaos.invariants.verdict import Verdict

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def is_read(environment: Mapping[str, str]) -> bool:
    """Whether somebody reads them: nowhere else are they written."""
    return environment.get("GITHUB_ACTIONS") == "true"


def annotation(verdict: Verdict, title: str, message: str, place: Sequence[str] = ()) -> str:
    """Of something that did not pass. `place` are properties, such as a file and its line."""
    kind = "warning" if verdict is Verdict.UNKNOWN else "error"
    properties = ",".join([*place, f"title={as_property(title)}"])
    return f"::{kind} {properties}::{_escaped(message, _DATA)}"


def as_property(text: str) -> str:
    """A text that is a property's value."""
    return _escaped(text, _PROPERTY)


def _escaped(text: str, signs: Mapping[str, str]) -> str:
    return "".join(signs.get(sign, sign) for sign in plain(text))
