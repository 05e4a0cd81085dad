"""The harness's processes: how they start, end, are reaped, and find their ports and programs."""

import platform


def is_linux() -> bool:
    """Whether this is Linux; features that only Linux has are not looked for elsewhere."""
    return platform.system() == "Linux"
