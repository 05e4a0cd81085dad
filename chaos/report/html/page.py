"""The frame of every page: styles, script and nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import math
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from chaos.evidence.text import plain
from chaos.report import table
from chaos.report.html.redaction import redacted


def document(title: str, body: str) -> str:
    """A page that needs no network. `title` is text, `body` is HTML that goes in as it is.

    The page's own policy forbids every request and every script but its own.
    """
    script = _resource("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return render(
        "document.html",
        title=title,
        body=Markup(body),  # noqa: S704 - the caller's HTML, escaped where it was made
        style=Markup(_resource("style.css")),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - likewise
        digest=Markup(digest),  # noqa: S704 - base64
    )


def render(template: str, **values: object) -> str:
    """A template's HTML. Whatever is text is escaped, and what looks like a secret hidden."""
    return environment().get_template(template).render(**values)


@cache
def environment() -> Environment:
    """Where templates are found, and what they may call."""
    made = Environment(
        loader=PackageLoader("chaos.report.html", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_final,
    )
    made.filters |= {
        "usd": table.usd,
        "exact": table.exact,
        "cost": table.cost,
        "seconds": _seconds,
        "bound": _bound,
        "figure": _figure,
        "words": _words,
    }
    made.globals |= {"infinity": math.inf}
    return made


def _final(value: object) -> object:
    """Text from outside, on one line and without secrets; a template's own HTML as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return redacted(plain(value))
    return value


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f} s"


def _bound(value: float) -> str:
    """The most that something may take, which versions before the first bound did not record."""
    return _seconds(value) if math.isfinite(value) else "unknown"


def _figure(value: float) -> str:
    """A number as short as it can be, for a drawing."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _words(name: object) -> str:
    """A name of the code as words."""
    return str(name).replace("_", " ")


@cache
def _resource(name: str) -> str:
    return (files("chaos.report.html") / "templates" / name).read_text(encoding="utf-8")
