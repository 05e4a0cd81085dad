"""One journal for all artifacts of a folder: found again, and no other takes its place."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from tests.integration.payments.shop import ANY, ARTIFACT, grant, image
from workflows.payments.engine import file_of
from workflows.payments.identity import (
    Binding,
    journal_url,
    names_in_use,
    open_journal,
    sqlite_url,
)
from workflows.payments.journal import JournalError, PaymentJournal
from workflows.settings import Settings, SettingsError, load_settings

NOT_WHERE_IT_WAS = "the payment journal is not where it was; restore its latest state."
FILES = {"paid.db", "paid.db-journal", "paid.db-shm", "paid.db-wal"}


@pytest.fixture
def environment(clean_environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    clean_environment.setenv("GEMINI_API_KEY", "a-key")
    return clean_environment


@pytest.fixture
def folder(environment: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """ARTIFACTS_DIR, which does not exist yet."""
    environment.setenv("ARTIFACTS_DIR", str(tmp_path / "artifacts"))
    return tmp_path / "artifacts"


def in_folder(folder: Path) -> Settings:
    return load_settings().model_copy(update={"artifacts_dir": folder})


def buy(settings: Settings, operation_id: str = "op") -> str:
    """Buy a character, with its file; the journal's id."""
    with closing(open_journal(settings)) as journal:
        journal.record(grant(journal, image(operation_id=operation_id)), artifact=ARTIFACT)
        (settings.artifacts_dir / operation_id).mkdir()
        (settings.artifacts_dir / operation_id / "character.png").write_bytes(b"a fox")
        return journal.id


def refusal(settings: Settings) -> str:
    with pytest.raises(SettingsError) as raised:
        open_journal(settings)
    return str(raised.value)


def as_of_the_release_before(file: Path) -> None:
    """Turn a journal into one of layout 3."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("ALTER TABLE account DROP COLUMN ledger_id")
        connection.execute("ALTER TABLE paid_calls DROP COLUMN token")
        connection.execute("UPDATE account SET schema_version = 3")


def journal_files(folder: Path) -> Sequence[Path]:
    return sorted((folder / ".ledger").glob("paid.db*"))


# Its place


def test_the_journal_lies_where_no_operations_folder_can_be(folder: Path) -> None:
    buy(load_settings())

    assert file_of(journal_url(load_settings())) == folder / ".ledger" / "paid.db"
    assert (folder / ".ledger" / "paid.db").stat().st_size > 0


def test_a_journal_of_ones_own_is_used_as_it_is_named(environment: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://till:hush-hush@db.test/paid"
    environment.setenv("PAYMENT_JOURNAL_URL", url)
    assert journal_url(load_settings()) == url


def test_a_journal_where_earlier_releases_kept_it_stays_there(folder: Path) -> None:
    folder.mkdir()
    with closing(PaymentJournal.open(sqlite_url(folder / "paid.db"), grace_seconds=5)) as old:
        old.record(grant(old, image()), artifact=ARTIFACT)
    as_of_the_release_before(folder / "paid.db")

    with closing(open_journal(load_settings())) as journal:
        assert [call.step for call in journal.calls()] == ["character"]

    assert journal_files(folder) == []


def test_an_earlier_release_finds_the_new_journal_and_cannot_begin_another(folder: Path) -> None:
    open_journal(load_settings()).close()

    with closing(sqlite3.connect(folder / "paid.db")) as as_it_opens_it:
        assert as_it_opens_it.execute("SELECT schema_version FROM account").fetchone() == (4,)


def test_two_journals_are_one_too_many(folder: Path) -> None:
    open_journal(load_settings()).close()
    (folder / "paid.db").unlink()
    (folder / "paid.db").write_bytes(b"of a worker on a file system without links")

    assert refusal(load_settings()).startswith(f"there are two payment journals, {folder}/")


@pytest.mark.parametrize(
    "name", ["a?1", "b%41", "c#1", "d e", "f:g", "h@i", "j?mode=ro&uri=true", "k+l", "file:m", "ü"]
)
def test_a_folder_of_any_name_has_its_own_journal(
    name: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("ARTIFACTS_DIR", str(tmp_path / name))
    mine = buy(load_settings())
    others = {buy(in_folder(tmp_path / other)) for other in ("a", "bA", "a?2", "c")}

    assert journal_files(tmp_path / name) == [tmp_path / name / ".ledger" / "paid.db"]
    assert mine not in others
    with closing(open_journal(load_settings())) as again:
        assert (again.id, len(again.calls())) == (mine, 1)


@pytest.mark.parametrize("name", ["a?1", "b%41", "c#1", "d e", "h@i"])
def test_an_address_in_words_is_that_of_the_same_file(name: str, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / name)
    assert file_of(url.render_as_string(hide_password=False)) == tmp_path / name
    assert make_url(url.render_as_string(hide_password=False)) == url


def test_a_journal_that_an_earlier_release_put_elsewhere_is_named(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "what?"
    (folder / "op").mkdir(parents=True)  # its character is under way: there is no file yet
    with closing(PaymentJournal.open(sqlite_url(tmp_path / "what"), grace_seconds=5)) as old:
        grant(old, image())
    environment.setenv("ARTIFACTS_DIR", str(folder))

    assert refusal(load_settings()) == (
        f"{NOT_WHERE_IT_WAS} An earlier release kept it in {tmp_path}/what: set "
        "PAYMENT_JOURNAL_URL to that file."
    )
    environment.setenv("PAYMENT_JOURNAL_URL", f"sqlite:///{tmp_path}/what")
    with closing(open_journal(load_settings())) as journal:
        assert len(journal.calls()) == 1


def test_a_folder_in_the_way_is_named(folder: Path) -> None:
    """As an operation of the id `paid.db-journal` made it before."""
    (folder / "paid.db-journal").mkdir(parents=True)
    (folder / "paid.db").touch()

    assert refusal(load_settings()) == (
        f"the payment journal needs a file where the folder {folder}/paid.db-journal is; "
        "move that folder away."
    )


# Names


@pytest.mark.usefixtures("folder")
def test_the_default_journals_names_are_in_use() -> None:
    assert names_in_use(load_settings()) == FILES
    open_journal(load_settings()).close()
    assert names_in_use(load_settings()) == FILES


def test_no_name_is_in_use_by_a_journal_elsewhere(
    folder: Path, environment: pytest.MonkeyPatch
) -> None:
    for url in ("postgresql+psycopg://till@db.test/paid", f"sqlite:///{folder}/../paid.db", "x"):
        environment.setenv("PAYMENT_JOURNAL_URL", url)
        assert names_in_use(load_settings()) == frozenset()


def test_the_names_of_a_journal_and_a_lock_among_the_artifacts_are_in_use(
    folder: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("PAY_WHILE_LOCKED", str(folder / "run.lock"))
    environment.setenv("PAYMENT_JOURNAL_URL", f"sqlite:///{folder}/mine")
    assert names_in_use(load_settings()) == {
        "run.lock",
        "mine",
        "mine-journal",
        "mine-shm",
        "mine-wal",
    }
    environment.setenv("PAYMENT_JOURNAL_URL", f"sqlite:///file:{folder}/sub/mine?uri=true")
    assert names_in_use(load_settings()) == {"run.lock", "sub"}


# The journal that the artifacts are bound to


def test_a_journal_that_is_gone_is_not_begun_anew_and_used_again_when_it_is_back(
    folder: Path, tmp_path: Path
) -> None:
    mine = buy(load_settings())
    file = folder / ".ledger" / "paid.db"
    file.rename(tmp_path / "away")

    assert refusal(load_settings()) == NOT_WHERE_IT_WAS
    assert journal_files(folder) == []

    (tmp_path / "away").rename(file)
    with closing(open_journal(load_settings())) as journal:
        assert (journal.id, len(journal.calls())) == (mine, 1)


def test_an_empty_file_is_no_journal_and_stays_empty(folder: Path) -> None:
    buy(load_settings())
    file = folder / ".ledger" / "paid.db"
    file.write_bytes(b"")

    assert refusal(load_settings()) == NOT_WHERE_IT_WAS
    assert file.read_bytes() == b""


def test_another_journal_is_refused(
    folder: Path, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    buy(load_settings())
    environment.setenv("PAYMENT_JOURNAL_URL", f"sqlite:///{tmp_path}/other.db")
    with closing(PaymentJournal.open(f"sqlite:///{tmp_path}/other.db", grace_seconds=5)) as other:
        grant(other, image())

    assert refusal(load_settings()) == (
        f"the files in {folder} belong to another payment journal; restore that journal, "
        "or "
        "correct PAYMENT_JOURNAL_URL or ARTIFACTS_DIR."
    )


def test_a_journal_of_the_release_before_is_taken_over_with_its_artifacts(
    folder: Path, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("PAYMENT_JOURNAL_URL", f"sqlite:///{tmp_path}/till.db")
    buy(load_settings())
    as_of_the_release_before(tmp_path / "till.db")
    (folder / ".ledger" / "id").unlink()

    with closing(open_journal(load_settings())) as journal:
        assert len(journal.calls()) == 1
        assert (folder / ".ledger" / "id").read_text() == journal.id


@pytest.mark.parametrize("has_file", [True, False], ids=["an empty one", "none"])
def test_what_an_earlier_release_paid_for_is_not_bound_to_a_journal_that_knows_nothing(
    has_file: bool, folder: Path, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    (folder / "op").mkdir(parents=True)
    (folder / "op" / "character.png").write_bytes(b"a fox")
    url = f"sqlite:///{tmp_path}/till.db"
    environment.setenv("PAYMENT_JOURNAL_URL", url)
    if has_file:
        PaymentJournal.open(url, grace_seconds=5).close()

    said = refusal(load_settings())

    assert said == NOT_WHERE_IT_WAS if not has_file else "is empty, but the files in" in said
    assert not (folder / ".ledger" / "id").exists()
    assert (tmp_path / "till.db").exists() is has_file


@pytest.mark.usefixtures("folder")
def test_a_new_folder_may_share_the_journal_of_another(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("PAYMENT_JOURNAL_URL", f"sqlite:///{tmp_path}/till.db")
    mine = buy(load_settings())

    assert buy(in_folder(tmp_path / "more"), operation_id="another") == mine
    assert buy(load_settings(), operation_id="third") == mine


def test_a_file_system_without_links_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path, _target: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", fail)
    monkeypatch.setattr(Path, "symlink_to", fail)
    first = buy(load_settings())
    with closing(open_journal(load_settings())) as journal:
        assert journal.id == first
    assert not list((folder / ".ledger").glob(".id.*"))


def test_an_id_that_is_no_text_is_another_journals(folder: Path) -> None:
    buy(load_settings())
    (folder / ".ledger/id").write_bytes(b"\xff")
    assert "belong to another payment journal" in refusal(load_settings())


@pytest.mark.parametrize("name", ["beach.mp4", "video-clip.mp4", "video-1.mp4", "characters.txt"])
def test_files_of_others_do_not_hinder_a_first_start(folder: Path, name: str) -> None:
    (folder / "lost+found").mkdir(parents=True)
    (folder / "holidays").mkdir()
    (folder / "holidays" / name).touch()
    open_journal(load_settings()).close()


def test_a_folder_that_cannot_be_read_is_named_and_hinders_no_later_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, iterdir = folder / "private", Path.iterdir

    def look(path: Path) -> Iterator[Path]:
        if path == private:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return iterdir(path)

    private.mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", look)
        assert refusal(load_settings()) == (
            f"{private} cannot be created or read (Permission denied); correct ARTIFACTS_DIR."
        )
    open_journal(load_settings()).close()
    monkeypatch.setattr(Path, "iterdir", look)
    open_journal(load_settings()).close()


def test_a_start_that_died_before_it_bound_the_artifacts_is_finished_by_the_next(
    folder: Path, environment: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> str:
        raise KeyboardInterrupt

    settings = load_settings()
    with environment.context() as broken:
        broken.setattr(Binding, "objection", die)
        with pytest.raises(KeyboardInterrupt):
            open_journal(settings)
    assert not (folder / ".ledger" / "id").exists()

    with closing(open_journal(load_settings())) as journal:
        assert (folder / ".ledger" / "id").read_text() == journal.id


def test_of_many_that_bind_at_once_one_decides_for_all(tmp_path: Path) -> None:
    for turn in range(20):
        binding, ids = Binding(tmp_path / str(turn)), [str(uuid4()) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            refused = list(pool.map(binding.objection, ids))

        known = (tmp_path / str(turn) / ".ledger" / "id").read_text()
        assert [each for each, no in zip(ids, refused, strict=True) if no is None] == [known]
        assert os.listdir(tmp_path / str(turn) / ".ledger") == ["id"]  # noqa: PTH208 - all names


def test_many_first_starts_at_once_all_have_the_same_journal(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: open_journal(load_settings()), range(8)))
    ids = {journal.id for journal in opened}
    for journal in opened:
        journal.close()

    assert ids == {(folder / ".ledger" / "id").read_text()}


# The same, under a journal that is open


@pytest.fixture
def opened(folder: Path) -> Iterator[PaymentJournal]:
    """A journal in use, with one character bought."""
    assert not folder.exists()
    buy(load_settings())
    with closing(open_journal(load_settings())) as journal:
        assert journal.calls()
        yield journal


def _move(file: Path) -> None:
    for each in file.parent.glob("paid.db*"):
        each.rename(file.parent / f"away-{each.name}")


def _remove(file: Path) -> None:
    for each in file.parent.glob("paid.db*"):
        each.unlink()


def _empty(file: Path) -> None:
    _remove(file)
    file.touch()


def _replace(file: Path) -> None:
    _remove(file)
    PaymentJournal.open(sqlite_url(file), grace_seconds=5).close()


GONE: dict[Callable[[Path], None], str] = {
    _move: NOT_WHERE_IT_WAS,
    _remove: NOT_WHERE_IT_WAS,
    _empty: NOT_WHERE_IT_WAS,
    _replace: "the payment journal was replaced by another one; restore its latest state.",
}


@pytest.mark.parametrize("harm", GONE, ids=lambda harm: harm.__name__)
def test_nothing_is_granted_once_the_file_is_not_the_journals(
    harm: Callable[[Path], None], folder: Path, opened: PaymentJournal
) -> None:
    harm(folder / ".ledger" / "paid.db")

    for act in (lambda: opened.reserve(image("video-001"), ANY), opened.calls):
        with pytest.raises(JournalError) as raised:
            act()
        assert (str(raised.value), raised.value.lasting) == (GONE[harm], False)


def test_the_same_file_put_back_goes_on_with_all_it_had(
    folder: Path, opened: PaymentJournal
) -> None:
    call = grant(opened, image("video-001"))
    file = folder / ".ledger" / "paid.db"
    _move(file)
    with pytest.raises(JournalError):
        opened.record(call, provider_operation="operations/1")
    for each in file.parent.glob("away-*"):
        each.rename(file.parent / each.name.removeprefix("away-"))

    assert opened.record(call, provider_operation="operations/1").provider_operation
    assert len(opened.calls()) == 2


def test_what_is_recorded_after_the_log_was_removed_is_found_by_others(
    folder: Path, opened: PaymentJournal
) -> None:
    for each in (folder / ".ledger").glob("paid.db-*"):
        each.unlink()

    grant(opened, image("video-001"))

    with closing(open_journal(load_settings())) as other:
        assert [call.step for call in other.calls()] == ["character", "video-001"]
