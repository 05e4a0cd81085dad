"""Where the ledger of paid calls lies, and which ledger the artifacts were paid for by.

`ARTIFACTS_DIR/.ledger` is a folder that no operation's can be: their names begin with no dot. The
default ledger lies there, and beside it the id of the ledger in use, wherever that is. Releases up
to layout 3 kept the default ledger in `ARTIFACTS_DIR/paid.db`: where there is one, it stays there.
Where there is none, a link takes its name, so that such a release finds the new ledger and refuses
its layout, and does not begin another.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from workflows import policies
from workflows.artifacts import SAFE_ID, sync_folder
from workflows.ledger import Ledger, LedgerError
from workflows.ledger_engine import BESIDE, file_of
from workflows.models import CHARACTER
from workflows.settings import Settings, SettingsError

_FOLDER = ".ledger"
_FILE = "paid.db"
_PAID_FOR = re.compile(rf"\.?({CHARACTER}|video-[0-9]{{3,}})\.")
"""How the names of files begin that a step has made."""


@dataclass(frozen=True)
class Binding:
    """The id of the ledger that paid for all artifacts below `artifacts_dir`, kept among them.

    Without it, a worker that finds an empty ledger, or another one, would pay for all anew.
    """

    artifacts_dir: Path

    def is_known(self) -> bool:
        """Whether the artifacts are bound to a ledger."""
        return self._mark.exists()

    def objection(self, ledger_id: str) -> str | None:
        """Bind the artifacts to a ledger for good; a sentence where they are another's."""
        try:
            if not self.is_known():
                self._bind(ledger_id)
            known = self._mark.read_text(errors="replace").strip()
        except OSError as error:
            return f"{self._mark} cannot be used ({error.strerror}); mend its permissions."
        if known == ledger_id:
            return None
        return (
            f"what lies in {self.artifacts_dir} was paid for by another ledger than this one; "
            "put its own ledger back, or mend LEDGER_URL or ARTIFACTS_DIR."
        )

    @property
    def _mark(self) -> Path:
        return self.artifacts_dir / _FOLDER / "id"

    def _bind(self, ledger_id: str) -> None:
        """Of workers that do this at once the first one decides; a crash leaves all or nothing."""
        folder = self._mark.parent
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".id.")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(ledger_id)
                file.flush()
                os.fsync(file.fileno())
            try:
                self._mark.hardlink_to(temporary)
            except FileExistsError:
                pass
            except OSError:  # there are no links on this file system: there the last one decides
                Path(temporary).replace(self._mark)
        finally:
            Path(temporary).unlink(missing_ok=True)
        sync_folder(folder)
        sync_folder(folder.parent)


def open_ledger(settings: Settings, sender: str | None = None) -> Ledger:
    """The ledger that is set, bound to the artifacts; nobody works without one.

    A new one is made only where nothing was paid for yet. Raises SettingsError.
    """
    folder = settings.artifacts_dir.absolute()
    binding = Binding(folder)
    try:
        address = ledger_address(settings)
        elsewhere = misplaced(settings)
        or_begun = elsewhere is not None
        is_first = not binding.is_known() and not has_paid_work(folder, or_begun=or_begun)
        ledger = Ledger.open(
            address, grace_seconds=policies.LEDGER_GRACE_SECONDS, sender=sender, make=is_first
        )
    except OSError as error:
        raise SettingsError(
            f"{error.filename or settings.artifacts_dir} cannot be made or read "
            f"({error.strerror}); mend ARTIFACTS_DIR."
        ) from None
    except LedgerError as error:
        hint = f" An earlier release kept it in {elsewhere}: set LEDGER_URL to that file."
        raise SettingsError(f"{error}{hint if elsewhere else ''}") from None
    try:
        _bind(binding, ledger, is_first=is_first)
    except BaseException:
        ledger.close()
        raise
    return ledger


def _bind(binding: Binding, ledger: Ledger, *, is_first: bool) -> None:
    """Raises SettingsError where the artifacts were paid for by another ledger."""
    try:
        is_foreign = not binding.is_known() and not is_first and ledger.is_empty()
    except LedgerError as error:
        raise SettingsError(str(error)) from None
    if is_foreign:
        raise SettingsError(
            f"the ledger of paid calls is empty, and what lies in {binding.artifacts_dir} was paid "
            "for; put its own ledger back, or mend LEDGER_URL or ARTIFACTS_DIR."
        )
    objection = binding.objection(ledger.id)
    if objection:
        raise SettingsError(objection)


def sqlite_url(file: Path) -> URL:
    """The address of a SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(file))


def ledger_address(settings: Settings) -> str | URL:
    """The ledger's URL; by default a file among the artifacts, so that workers which share these
    share it as well. Its folder is made. Raises OSError, SettingsError.
    """
    if settings.ledger_url is not None:
        return settings.ledger_url.get_secret_value()
    folder = settings.artifacts_dir.absolute()
    old, new = folder / _FILE, folder / _FOLDER / _FILE
    new.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # it exists, or there are no links on this file system
        old.symlink_to(new.relative_to(folder))
    is_old = old.is_file() and not old.is_symlink()
    if is_old and new.exists():
        raise SettingsError(
            f"there are two ledgers of paid calls, {new} and {old}, which is of an earlier release "
            "or was a link before it was copied; end the workers of that release, and set "
            "LEDGER_URL to the one that knows what was paid for."
        )
    return sqlite_url(old if is_old else new)


def misplaced(settings: Settings) -> Path | None:
    """Where an earlier release kept the default ledger of a folder whose name has a `?` or `%`,
    which it took for a part of a URL; None where it kept none there.
    """
    proper = settings.artifacts_dir.absolute() / _FILE
    try:
        other = file_of(make_url(f"sqlite:///{proper}"))
    except (SQLAlchemyError, ValueError):
        return None
    is_there = settings.ledger_url is None and other != proper and other and other.is_file()
    return other if is_there else None


def has_paid_work(artifacts_dir: Path, *, or_begun: bool = False) -> bool:
    """Whether any operation has made a file there, or even only its folder."""
    if not artifacts_dir.is_dir():
        return False
    folders = (f for f in artifacts_dir.iterdir() if SAFE_ID.fullmatch(f.name) and f.is_dir())
    return any(or_begun or _holds_paid_work(folder) for folder in folders)


def _holds_paid_work(folder: Path) -> bool:
    return any(_PAID_FOR.match(file.name) for file in folder.iterdir())


def names_in_use(settings: Settings) -> frozenset[str]:
    """Names in ARTIFACTS_DIR that no operation's folder may have: of the programs' own files."""
    root = settings.artifacts_dir.resolve()
    return frozenset(
        path.relative_to(root).parts[0]
        for path in _own_files(settings)
        if path != root and path.is_relative_to(root)
    )


def _own_files(settings: Settings) -> Iterator[Path]:
    if settings.pay_while_locked:
        yield settings.pay_while_locked.resolve()
    file: Path | None = settings.artifacts_dir / _FILE
    if settings.ledger_url:
        with contextlib.suppress(SQLAlchemyError, ValueError):
            file = None
            file = file_of(settings.ledger_url.get_secret_value())
    if file:
        # The folder may be reached by a link; the file itself may be one, and has its own name.
        yield from (file.parent.resolve() / f"{file.name}{end}" for end in BESIDE)
