"""The scenarios of somebody else's project, found in a test file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from chaos.experiment.scenario import Scenario
from chaos.report.recheck.recorded import RecheckError


def scenarios_in(file: Path) -> Sequence[Scenario]:
    """The `SCENARIOS` of a test file, which may import from the folder that this runs in.

    Raises RecheckError.
    """
    if not __debug__:
        raise RecheckError(
            "Python runs with -O, or PYTHONOPTIMIZE is set: it leaves out the assert statements on "
            "which verdicts may rest; run without."
        )
    spec = importlib.util.spec_from_file_location(f"own_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise RecheckError(f"{file} is no Python file; name the test file that has SCENARIOS.")
    module = importlib.util.module_from_spec(spec)
    # It stays there: the replay of a history imports the workflow's module once more.
    sys.path.insert(0, str(Path.cwd()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - it is somebody else's code
        raise RecheckError(
            f"{file} cannot be imported ({error!r}); run this in the project's folder, in the "
            "environment of its tests."
        ) from None
    found = getattr(module, "SCENARIOS", None)
    if not found or not all(isinstance(each, Scenario) for each in found):
        raise RecheckError(f"{file} has no SCENARIOS.")
    return tuple(found)
