"""A worker with one planted fault: `python -m tests.integration.breaks.sabotage NAME`."""

from __future__ import annotations

import inspect
import sys

from tests.integration.breaks import (
    sabotage_api,
    sabotage_network,
    sabotage_process,
    sabotage_storage,
    sabotage_work,
)
from workflows import worker

PLANTS = {
    name: plant
    for module in (
        sabotage_work,
        sabotage_api,
        sabotage_network,
        sabotage_process,
        sabotage_storage,
    )
    for name, plant in vars(module).items()
    if inspect.isfunction(plant)
    and plant.__module__ == module.__name__
    and not name.startswith("_")
}
"""The faults, by the names of the functions that plant them."""

if __name__ == "__main__":
    PLANTS[sys.argv[1]]()
    sys.exit(worker.main())
