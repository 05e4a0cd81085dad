"""Which file of a case's evidence is damaged, and where.

A journal is written line by line, so one that ends in the middle of a line tells of a harness that
was killed, or of a file that was cut. What came after is not known, so nothing is judged by the
rest. The books of a target's services are its own to read: these may be killed on purpose, and an
unfinished last line of theirs may mean nothing: it is a note, and changes no verdict.
"""

from __future__ import annotations

import json
from pathlib import Path

from chaos.evidence.files import read_file
from chaos.evidence.histories import CHILDREN, HISTORIES

JOURNAL = "journal.jsonl"


def damage(folder: Path, error: Exception) -> str:
    """Why the evidence in a folder cannot be read: by its files, or else by the error."""
    histories = (each for name in (HISTORIES, CHILDREN) for each in (folder / name).glob("*.json"))
    files = (*sorted(folder.glob("*.json*")), *sorted(histories))
    found = [f"{file.relative_to(folder)} {words}" for file in files if (words := _broken(file))]
    if found:
        return "; ".join(found)
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{Path(error.filename).name} is missing"
    if isinstance(error, OSError) and error.filename:
        return f"{Path(error.filename).name} cannot be read ({error.strerror})"
    return f"today's code cannot read it: {' '.join(str(error).split())[:300]}"


def torn_books(folder: Path) -> list[Path]:
    """What services have written line by line, and ends in the middle of one."""
    files = (file for file in sorted(folder.glob("*.jsonl")) if file.name != JOURNAL)
    return [file for file in files if _is_torn(file)]


def _is_torn(file: Path) -> bool:
    try:
        content = read_file(file)
    except OSError:  # what is wrong with it is reported where it is judged
        return False
    return not content.endswith(b"\n") and content != b""


def _broken(file: Path) -> str:
    """What is wrong with a file of JSON, or with one of its lines; empty where it is whole."""
    try:
        content = read_file(file)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if file.suffix == ".json":
        return "" if _is_json(content) else "is damaged: it is not JSON"
    parts = content.split(b"\n")
    number = next((n for n, line in enumerate(parts, 1) if line and not _is_json(line)), None)
    if number is None:
        return ""
    if number == len(parts):
        return f"ends in the middle of line {number}: its writer was killed, or it was truncated"
    return f"is damaged: line {number} is not JSON"


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
