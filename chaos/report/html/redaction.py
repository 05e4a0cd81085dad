"""Nothing that looks like a secret gets onto the page, whoever wrote it down."""

from __future__ import annotations

import re

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


def redacted(text: str) -> str:
    """The text with what looks like a key, a token or a password hidden."""
    text = _WHOLE.sub(HIDDEN, text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    return _IN_URL.sub(rf"\1:{HIDDEN}@", text)
