"""The shop of `../orders` with the worker in Go: `go build -o worker .` first."""

from __future__ import annotations

from pathlib import Path

from tests.elsewhere import worked_by

SHOP = worked_by(("./worker",), Path(__file__).parent.parent)
