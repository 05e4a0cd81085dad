"""Finds Temporal's programs, or installs them once into the user's cache folder."""

from chaos.process.programs.find import (
    find_installed,
    find_program,
    find_temporal_cli,
    why_not_installed,
)
from chaos.process.programs.model import (
    PROGRAMS,
    TEMPORAL_CLI,
    TEMPORAL_SERVER,
    TEMPORAL_SQL_TOOL,
    BadBinaryError,
    Binary,
    BinaryNotFoundError,
    Program,
    SearchCancelledError,
    Source,
    origin,
    way,
)

__all__ = [
    "PROGRAMS",
    "TEMPORAL_CLI",
    "TEMPORAL_SERVER",
    "TEMPORAL_SQL_TOOL",
    "BadBinaryError",
    "Binary",
    "BinaryNotFoundError",
    "Program",
    "SearchCancelledError",
    "Source",
    "find_installed",
    "find_program",
    "find_temporal_cli",
    "origin",
    "way",
    "why_not_installed",
]
