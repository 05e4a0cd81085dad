"""Processes of ours: how they start, end, are reaped, and find their ports and programs."""

import platform


def is_linux() -> bool:
    """Whether this is Linux. What only Linux has is looked for nowhere else."""
    return platform.system() == "Linux"
