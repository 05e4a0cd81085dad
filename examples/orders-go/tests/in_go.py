"""The shop of `../orders` with the worker in Go: `go build -o worker .` first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.elsewhere import worked_by
from tests.shop import VERSIONS

from chaos import SURVIVAL

# The same settings choose its version; Python cannot replay its histories.
SHOP = worked_by(
    ("./worker",), Path(__file__).parent.parent, replace(VERSIONS, invariants=SURVIVAL)
)
