"""Finds the `temporal` CLI, or installs it once into the user's cache folder."""

from chaos.binaries.find import find_temporal_cli
from chaos.binaries.model import (
    BadBinaryError,
    BinaryNotFoundError,
    SearchCancelledError,
    Source,
    TemporalCli,
)

__all__ = [
    "BadBinaryError",
    "BinaryNotFoundError",
    "SearchCancelledError",
    "Source",
    "TemporalCli",
    "find_temporal_cli",
]
