"""No secret is in anything that is kept."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from chaos.evidence.case import Evidence
from chaos.invariants import Invariant


def no_secret_is_kept(*secrets: str) -> Invariant:
    """No file of the evidence contains a key, plain or in base64."""
    # A payload in a history is base64, so the key's bytes may begin at any of three offsets.
    needles = [form for secret in secrets for form in (secret.encode(), *_base64_forms(secret))]

    def judge(evidence: Evidence) -> Iterator[str]:
        for file in sorted(evidence.folder.rglob("*")):
            if file.is_file():
                content = file.read_bytes()
                if any(needle in content for needle in needles):
                    yield f"{file.relative_to(evidence.folder)} contains an API key"

    return Invariant("no_secret_is_kept", judge)


def _base64_forms(secret: str) -> Iterator[bytes]:
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + secret.encode())
        # The characters at both ends also depend on what stands beside the key.
        yield coded[(0, 2, 3)[offset] : -4]
