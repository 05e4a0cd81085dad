"""`python tests/rooms.py [FOLDER …]`: the rooms of the house as a tree, with their files and lines.

By default those of `chaos/`, which `tests/unit/test_architecture.py` holds to their number.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def rooms(house: Path) -> list[Path]:
    """The folders with Python files that stand directly in a house."""
    return sorted(each for each in house.iterdir() if each.is_dir() and any(_files(each)))


def loose_files(house: Path) -> list[Path]:
    """What stands in no room."""
    return sorted(house.glob("*.py"))


def tree(house: Path, depth: int = 0) -> Iterator[str]:
    """A line for a folder and for each folder below it, with all that is in it."""
    files = list(_files(house))
    lines = sum(len(file.read_text().splitlines()) for file in files)
    name = f"{'  ' * depth}{house.name}/"
    yield f"{name:28}{len(files):>5} files{lines:>8} lines"
    for room in rooms(house):
        yield from tree(room, depth + 1)


def _files(folder: Path) -> Iterator[Path]:
    return folder.rglob("*.py")


def main() -> None:
    """Print them."""
    for name in sys.argv[1:] or ["chaos"]:
        house = PROJECT / name
        sys.stdout.write("\n".join(tree(house)) + "\n")
        alone = ", ".join(file.name for file in loose_files(house))
        sys.stdout.write(f"{len(rooms(house))} rooms; loose files: {alone or 'none'}\n")


if __name__ == "__main__":
    main()
