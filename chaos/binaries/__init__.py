"""Finds Temporal's programs, or installs them once into the user's cache folder."""

from chaos.binaries.find import (
    find_installed,
    find_program,
    find_temporal_cli,
    why_not_installed,
)
from chaos.binaries.model import (
    BadBinaryError,
    Binary,
    BinaryNotFoundError,
    Program,
    SearchCancelledError,
    Source,
)
from chaos.binaries.origin import origin, way
from chaos.binaries.programs import PROGRAMS, TEMPORAL_CLI, TEMPORAL_SERVER, TEMPORAL_SQL_TOOL

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
