"""Makes the chaos suite's options and fixtures known to pytest."""

from __future__ import annotations

pytest_plugins = ["chaos.plugin"]
