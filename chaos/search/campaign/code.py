"""The version of a target's code: two machines have the same if their projects have.

Queues are named by it. It is quick to tell, since a machine asks before each case, and nothing is
written to tell it.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    distribution,
    packages_distributions,
)
from importlib.util import find_spec
from pathlib import Path

from chaos.experiment.catalogue import find_modules_of, target_names
from chaos.search.campaign.names import CAMPAIGN

_LENGTH = 12
_SHORT = 8
_MADE = {"__pycache__", "node_modules", "venv", "reports"}
"""Folders of what is made by running code, wherever they are; so are those that begin with a dot.
"""

_EVERYTHING = b"*"
"""The `.gitignore` of a folder that wants to be no part of its project, as many tools write it."""

_GIT = (
    *("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false"),
    # A checkout may be another user's, such as one mounted into a container.
    *("-c", "safe.directory=*"),
)


class CodeError(Exception):
    """The version of a project cannot be told. One sentence: why, and what to do."""


def code_of(project: Path) -> str:
    """The version of a project, valid in a queue's name.

    In a checkout it is that of the commit, with a hash of what is uncommitted, also of new files
    that are not ignored; a project in a folder of it has that folder's name as well. Without git it
    is the version and the hash of the wheel that has the modules of all targets, or else a hash of
    the project's files. What a run or a campaign leaves in the project does not count, nor do
    caches. Raises CodeError, CatalogueError.
    """
    try:
        return _of_checkout(project) or _of_wheel(project) or f"files-{_of_files(project)}"
    except OSError as error:
        raise CodeError(
            f"the version of the code in {project} cannot be told ({error.strerror}: "
            f"{error.filename}); make its files readable."
        ) from None


def _of_checkout(project: Path) -> str | None:
    found = _git(project, "rev-parse", "--show-toplevel", "HEAD")
    if found is None:  # also where there is no commit yet
        return None
    top, commit = found.rsplit(b"\n", 1)
    root = Path(os.fsdecode(top))
    folder = project.resolve().relative_to(root.resolve()).as_posix()
    parts = [] if folder == "." else [_slug(folder)]
    changed = _uncommitted(root)
    return "-".join([*parts, commit.decode()[:_LENGTH], *([changed[:_SHORT]] if changed else [])])


def _uncommitted(root: Path) -> str:
    """A hash of all files that differ from the commit; empty where none does."""
    listed = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    if listed is None:
        raise CodeError(f"git cannot tell what is uncommitted in {root}: git status says why.")
    paths = sorted(Path(os.fsdecode(entry[3:])) for entry in listed.split(b"\0") if entry)
    evidence = {path.parent for path in paths if _is_of_campaign(path)}
    return _hash(
        (os.fsencode(path), _content(root / path))
        for path in paths
        if not any(_is_made(each.name) or each in evidence for each in path.parents)
    )


def _content(path: Path) -> bytes:
    """What stands for a file's content; a folder is a checkout in the checkout."""
    if path.is_symlink():
        return b"link " + os.fsencode(path.readlink())
    if path.is_dir():
        return (_of_checkout(path) or _of_files(path)).encode()
    try:
        mode = b"program " if os.access(path, os.X_OK) else b"file "
        return mode + _digest(path, path.stat()).encode()
    except FileNotFoundError:
        return b"none"


_known: dict[str, tuple[tuple[int, int, int], str]] = {}
"""The hash of each file, for as long as its size, time and inode are the same."""


def _digest(path: Path, found: os.stat_result) -> str:
    key = (found.st_size, found.st_mtime_ns, found.st_ino)
    known = _known.get(str(path))
    if known is None or known[0] != key:
        with path.open("rb") as file:
            known = (key, hashlib.file_digest(file, "sha256").hexdigest())
        _known[str(path)] = known
    return known[1]


def _of_files(project: Path) -> str:
    found = [(os.fsencode(p.relative_to(project)), _content(p)) for p in _files(project)]
    return _hash(found)[:_LENGTH]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if not (_is_made(path.name) or _is_marked(path) or _is_evidence(path)):
                yield from _files(path)
        elif path.is_file() or path.is_symlink():
            yield path


def _is_made(folder: str) -> bool:
    return folder in _MADE or folder.startswith(".")


def _is_evidence(folder: Path) -> bool:
    return _is_of_campaign(folder / CAMPAIGN) and (folder / CAMPAIGN).is_file()


def _is_of_campaign(file: Path) -> bool:
    """Whether a folder with that file is a campaign's: nothing in it is code."""
    return file.name == CAMPAIGN and file.parent.name.startswith("campaign-")


def _is_marked(folder: Path) -> bool:
    marker = folder / ".gitignore"
    return marker.is_file() and marker.read_bytes().strip() == _EVERYTHING


def _hash(files: Iterable[tuple[bytes, bytes]]) -> str:
    """Of names and contents; empty where there are none."""
    whole, is_any = hashlib.sha256(), False
    for name, content in files:
        whole.update(b"%d %s%d %s" % (len(name), name, len(content), content))
        is_any = True
    return whole.hexdigest() if is_any else ""


def _of_wheel(project: Path) -> str | None:
    """Of the one wheel that all targets of the project are in."""
    find_modules_of(project)
    found = {_distribution_of(name.partition(".")[0], project) for name in _modules(project)}
    only = next(iter(found)) if len(found) == 1 else None
    if only is None:
        return None
    wheel = distribution(only)
    record = wheel.read_text("RECORD") or ""
    digest = hashlib.sha256(record.encode()).hexdigest()
    return f"{_slug(wheel.name)}-{_slug(wheel.version)}-{digest[:_SHORT]}"


def _modules(project: Path) -> Sequence[str]:
    return [name.partition(":")[0] for name in target_names(project)]


@cache
def _distribution_of(package: str, project: Path) -> str | None:
    """The installed wheel that has a package; None for one of the project itself, or for one whose
    files are elsewhere, as those of an editable install are.
    """
    spec = find_spec(package)
    if spec is None or not spec.origin or Path(spec.origin).is_relative_to(project):
        return None
    for name in packages_distributions().get(package, []):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if found.read_text("RECORD") and _has(found, Path(spec.origin)):
            return name
    return None


def _has(wheel: Distribution, file: Path) -> bool:
    return any(Path(str(wheel.locate_file(each))) == file for each in wheel.files or ())


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git says; None where there is no git, or no checkout."""
    environment = {name: value for name, value in os.environ.items() if not _is_gits(name)}
    try:
        done = subprocess.run(  # noqa: S603 - git, with arguments of ours
            [*_GIT, *arguments], cwd=folder, env=environment, capture_output=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip(b"\n") if done.returncode == 0 else None


def _is_gits(variable: str) -> bool:
    """Those of a hook would lead to another checkout."""
    return variable.startswith("GIT_") and not variable.startswith("GIT_CONFIG_")


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")
