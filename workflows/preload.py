"""What takes a worker's time at its start, and is the same for all of them.

Whoever forks workers imports this before: it is done once, and no worker waits for it. A fork must
leave nothing half done, so nothing here connects, starts a thread or reads a setting.
"""

from __future__ import annotations

from importlib import import_module

from workflows import gemini

_IMPORTED_LATE = ("workflows.worker", "sqlalchemy.dialects.sqlite", "anyio.streams.tls")
"""The worker, and what libraries import when it is first needed."""

for module in _IMPORTED_LATE:
    import_module(module)
gemini.warm_up()
