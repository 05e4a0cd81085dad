"""The shop of `../orders` with the worker in TypeScript: `npm ci && npm run build` first."""

from __future__ import annotations

from pathlib import Path

from tests.elsewhere import worked_by

SHOP = worked_by(("npm", "start"), Path(__file__).parent.parent)
