"""The package's README and addresses, from one setting: `address` in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE = re.compile(r"(?<=\]\()(?!\w+:|#)")
"""Before the target of each link or picture that belongs to the repository."""


class Addresses(MetadataHookInterface):
    """On a package index no repository stands beside the README, so its links become absolute."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the fields `readme` and `urls`."""
        address = self.config["address"].rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        if address:
            text = _RELATIVE.sub(f"{address}/raw/HEAD/", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = _urls(address) if address else {}


def _urls(address: str) -> dict[str, str]:
    return {
        "Source": address,
        "Issues": f"{address}/issues",
        "Changelog": f"{address}/blob/HEAD/CHANGELOG.md",
    }
