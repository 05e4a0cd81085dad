"""A fault-tolerance harness for any Temporal workers: all that a project needs, from one place.

    from chaos import Case, Lab, Scenario, Target, WorkflowSpec

`examples/orders` is such a project; `docs/tutorial.md` goes through it. Names are imported on first
use, so importing this package is cheap.

PYTEST_DONT_REWRITE: no assert here needs rewriting, and `python -m chaos run` imports it before
pytest.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

_STUB = Path(__file__).with_suffix(".pyi")
_EXPORT = re.compile(r"^from (\S+) import (\w+) as \w+$", re.MULTILINE)
_MODULE_OF = {name: module for module, name in _EXPORT.findall(_STUB.read_text(encoding="utf-8"))}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF])
