"""The frame of every page: styles, script and nothing from anywhere else, and no secrets."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from chaos.evidence.text import plain
from chaos.report import table

HIDDEN = "[hidden]"

_WHOLE = re.compile(
    r"""
    AIza[\w-]{6,}                                   # a Google API key, and the canary of the suite
    | \b(?:sk|pk|rk|gh[opsu]|glpat|xox[abeprs])[-_][\w-]{12,}   # those of other providers
    | \bya29\.[\w-]{12,}                            # Google's access tokens
    | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}          # a JSON web token
    | https://hooks\.slack\.com/\S+                 # whoever knows this may post there
    """,
    re.VERBOSE,
)
_NAMED = re.compile(
    r"""
    ( \b[\w-]*(?:api[-_ ]?key|token|secret|password|passwd)["']?\s*[:=]\s*["']?
    | \b(?:bearer|basic)\s+
    )
    (?=[^\s"',;&)}]*\d) [^\s"',;&)}]{6,}       # with a digit, so that no word is hidden
    """,
    re.VERBOSE | re.IGNORECASE,
)
_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s/@]+@", re.IGNORECASE)


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
        script=Markup(script),  # noqa: S704 - a file of this package
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
        "figure_words": table.figure_words,
        "notice_words": table.notice_words,
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
    """The most that something may take, if a case is judged by it."""
    return _seconds(value) if math.isfinite(value) else "-"


def _figure(value: float) -> str:
    """A number as short as it can be, for a drawing."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _words(name: object) -> str:
    """A name of the code as words."""
    return str(name).replace("_", " ")


@cache
def _resource(name: str) -> str:
    return (files("chaos.report.html") / "templates" / name).read_text(encoding="utf-8")


def redacted(text: str) -> str:
    """The text with what looks like a key, a token or a password hidden."""
    text = _WHOLE.sub(HIDDEN, text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    return _IN_URL.sub(rf"\1:{HIDDEN}@", text)
