"""Where the payment journal is, and which journal belongs to the artifacts.

The default journal is a file in `ARTIFACTS_DIR/.ledger`; the name of no operation's folder begins
with a dot. The id of the journal in use, wherever that is, is kept in the same folder. Releases up
to layout 3 kept the default journal in `ARTIFACTS_DIR/paid.db`: an existing one stays there.
Otherwise a link takes that name, so that such a release finds the new journal and refuses its
layout, instead of beginning another.
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
from workflows.models import CHARACTER
from workflows.payments.engine import BESIDE, file_of
from workflows.payments.journal import JournalError, PaymentJournal
from workflows.settings import Settings, SettingsError

_FOLDER = ".ledger"
_FILE = "paid.db"
_PAID_FOR = re.compile(rf"\.?({CHARACTER}|video-[0-9]{{3,}})\.")
"""How the names of files begin that a step has made."""


@dataclass(frozen=True)
class Binding:
    """The id of the journal that paid for all artifacts below `artifacts_dir`, kept among them.

    Without it, a worker that finds an empty journal, or another one, would pay for everything
    again.
    """

    artifacts_dir: Path

    def is_known(self) -> bool:
        """Whether the artifacts are bound to a journal."""
        return self._mark.exists()

    def objection(self, ledger_id: str) -> str | None:
        """Bind the artifacts to a journal for good; a sentence where they are another's."""
        try:
            if not self.is_known():
                self._bind(ledger_id)
            known = self._mark.read_text(errors="replace").strip()
        except OSError as error:
            return f"{self._mark} cannot be used ({error.strerror}); fix its permissions."
        if known == ledger_id:
            return None
        return (
            f"the files in {self.artifacts_dir} belong to another payment journal; restore that "
            "journal, or correct PAYMENT_JOURNAL_URL or ARTIFACTS_DIR."
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


def open_journal(settings: Settings, sender: str | None = None) -> PaymentJournal:
    """The journal that is set, bound to the artifacts; nobody works without one.

    A new one is made only where nothing was paid for yet. Raises SettingsError.
    """
    folder = settings.artifacts_dir.absolute()
    binding = Binding(folder)
    try:
        address = journal_url(settings)
        elsewhere = misplaced(settings)
        or_begun = elsewhere is not None
        is_first = not binding.is_known() and not has_paid_work(folder, or_begun=or_begun)
        journal = PaymentJournal.open(
            address, grace_seconds=policies.JOURNAL_GRACE_SECONDS, sender=sender, make=is_first
        )
    except OSError as error:
        raise SettingsError(
            f"{error.filename or settings.artifacts_dir} cannot be created or read "
            f"({error.strerror}); correct ARTIFACTS_DIR."
        ) from None
    except JournalError as error:
        hint = f" An earlier release kept it in {elsewhere}: set PAYMENT_JOURNAL_URL to that file."
        raise SettingsError(f"{error}{hint if elsewhere else ''}") from None
    try:
        _bind(binding, journal, is_first=is_first)
    except BaseException:
        journal.close()
        raise
    return journal


def _bind(binding: Binding, journal: PaymentJournal, *, is_first: bool) -> None:
    """Raises SettingsError where the artifacts were paid for by another journal."""
    try:
        is_foreign = not binding.is_known() and not is_first and journal.is_empty()
    except JournalError as error:
        raise SettingsError(str(error)) from None
    if is_foreign:
        raise SettingsError(
            f"the payment journal is empty, but the files in {binding.artifacts_dir} were paid "
            "for; restore their journal, or correct PAYMENT_JOURNAL_URL or ARTIFACTS_DIR."
        )
    objection = binding.objection(journal.id)
    if objection:
        raise SettingsError(objection)


def sqlite_url(file: Path) -> URL:
    """The address of a SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(file))


def journal_url(settings: Settings) -> str | URL:
    """The journal's URL; by default a file among the artifacts, so that workers which share these
    share it as well. Its folder is made. Raises OSError, SettingsError.
    """
    if settings.payment_journal_url is not None:
        return settings.payment_journal_url.get_secret_value()
    folder = settings.artifacts_dir.absolute()
    old, new = folder / _FILE, folder / _FOLDER / _FILE
    new.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # it exists, or there are no links on this file system
        old.symlink_to(new.relative_to(folder))
    is_old = old.is_file() and not old.is_symlink()
    if is_old and new.exists():
        raise SettingsError(
            f"there are two payment journals, {new} and {old}, which is of an earlier release "
            "or was a link before it was copied; end the workers of that release, and set "
            "PAYMENT_JOURNAL_URL to the one that has the payments."
        )
    return sqlite_url(old if is_old else new)


def misplaced(settings: Settings) -> Path | None:
    """Where an earlier release kept the default journal of a folder whose name has a `?` or `%`,
    which it took for a part of a URL; None where it kept none there.
    """
    proper = settings.artifacts_dir.absolute() / _FILE
    try:
        other = file_of(make_url(f"sqlite:///{proper}"))
    except (SQLAlchemyError, ValueError):
        return None
    is_there = (
        settings.payment_journal_url is None and other != proper and other and other.is_file()
    )
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
    if settings.payment_journal_url:
        with contextlib.suppress(SQLAlchemyError, ValueError):
            file = None
            file = file_of(settings.payment_journal_url.get_secret_value())
    if file:
        # The folder may be reached by a link; the file itself may be one, and has its own name.
        yield from (file.parent.resolve() / f"{file.name}{end}" for end in BESIDE)
