"""The store of a campaign, as a folder: one content for each name, and nothing from outside it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaos.search.campaign.places import Objects
from chaos.search.campaign.store import DamagedError, Store, StoreError, address_of
from tests.unit.chaos.hostile import HOSTILE, LONG


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "evidence"), "night-1")


def _root(store: Store) -> Path:
    return Path(store.address)


def test_a_file_is_there_whole_and_nothing_beside_it(store: Store) -> None:
    assert store.create("cases/a/verdict.json", b"first")

    assert store.read("cases/a/verdict.json") == b"first"
    assert [p.name for p in _root(store).rglob("*") if p.is_file()] == ["verdict.json"]


def test_the_first_content_of_a_name_stays(store: Store) -> None:
    store.create("summary.json", b"first")

    assert not store.create("summary.json", b"second")
    assert not store.create("summary.json", b"firs")
    assert store.read("summary.json") == b"first"


def test_a_write_whose_answer_was_lost_is_ones_own(store: Store) -> None:
    store.create("summary.json", b"first")

    assert store.create("summary.json", b"first")


def test_of_many_writers_at_once_one_wins(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda i: store.create("a/verdict.json", b"%d" % i), range(8)))

    assert won.count(True) == 1
    assert store.read("a/verdict.json") == b"%d" % won.index(True)


def test_what_is_not_there_is_none(store: Store) -> None:
    store.create("a", b"")

    assert store.read("b") is None
    assert store.read("a") == b""
    assert store.read_all(["a", "b"]) == {"a": b""}
    assert store.list("turns") == []


def test_files_are_listed_by_their_names_from_the_root_on(store: Store) -> None:
    for name in ("turns/000001.json", "cases/b/verdict.json", "cases/a/verdict.json"):
        store.create(name, b"x")

    assert store.list("cases") == ["cases/a/verdict.json", "cases/b/verdict.json"]
    assert store.list() == [*store.list("cases"), "turns/000001.json"]


def test_campaigns_are_kept_apart(store: Store, tmp_path: Path) -> None:
    store.create("campaign.json", b"x")
    other = Store.open(str(tmp_path / "evidence"), "night-2")

    assert other.read("campaign.json") is None
    assert other.list() == []
    assert Store.open(str(tmp_path / "evidence")).campaigns() == ["night-1"]
    assert Store.open(str(tmp_path / "nothing")).campaigns() == []


def test_a_place_where_nothing_replaces_anything_is_proven_as_often_as_asked(store: Store) -> None:
    store.prove()
    store.prove()


def test_a_place_where_files_can_be_overwritten_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an object store that does not know conditional writes."""
    monkeypatch.setattr(Store, "create", lambda *_: True)

    with pytest.raises(StoreError, match="a second verdict could replace"):
        store.prove()


@pytest.mark.parametrize(
    "name", ["", "../a", "a/../b", "/a", "a//b", "a/", ".a", "a\n", "a\0", "ä", LONG, HOSTILE]
)
def test_no_name_leads_elsewhere(store: Store, name: str) -> None:
    for use in (lambda: store.create(name, b""), lambda: store.read(name)):
        with pytest.raises(StoreError, match="cannot be the name"):
            use()
    with pytest.raises(StoreError, match="cannot be the name"):
        Store.open("/tmp", name or "..")  # noqa: S108 - nothing is written there


def test_no_link_is_followed(store: Store, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "verdict.json").write_text("precious")
    store.create("cases/a/verdict.json", b"x")
    (_root(store) / "cases" / "linked").symlink_to(precious)
    (_root(store) / "cases" / "a" / "file").symlink_to(precious / "verdict.json")

    assert store.list() == ["cases/a/verdict.json"]
    for name in ("cases/linked/verdict.json", "cases/a/file"):
        with pytest.raises(DamagedError, match="symbolic link"):
            store.read(name)
    with pytest.raises(DamagedError, match="symbolic link"):
        store.create("cases/linked/new", b"x")
    assert os.listdir(precious) == ["verdict.json"]  # noqa: PTH208 - hidden ones as well


def test_a_pipe_holds_nobody(store: Store) -> None:
    store.create("cases/a/verdict.json", b"x")
    os.mkfifo(_root(store) / "cases" / "a" / "pipe")

    assert store.list() == ["cases/a/verdict.json"]
    with pytest.raises(DamagedError, match="pipe"):
        store.read("cases/a/pipe")


def test_far_too_large_a_file_is_not_taken_in(store: Store) -> None:
    store.create("a", b"1234")
    store.create("b", b"123")

    with pytest.raises(DamagedError, match="larger"):
        store.read("a", 3)
    told: list[str] = []
    assert store.read_all(["a", "b"], 3, told.append) == {"b": b"123"}
    assert ["/a is larger" in each for each in told] == [True]


def test_names_that_no_campaign_writes_are_not_listed(store: Store) -> None:
    store.create("a", b"x")
    (_root(store) / ".a.1234").write_bytes(b"half")
    (_root(store) / "line\nbreak").write_bytes(b"x")

    assert store.list() == ["a"]


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store.open(str(tmp_path / "file"), "night-1")

    with pytest.raises(StoreError, match=r"cannot be written to \(Not a directory\)"):
        store.create("a", b"x")


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAKEY:s3cr3t@bucket/folder",
        "s3://AKIAKEY:s3cr/3t+s3cr3t@bucket/folder",
        "https://user:s3cr3t@host/x",
        "https://host/x?sig=s3cr3t",
        "s3://bucket/x#s3cr3t",
        "simplecache::sftp://user:s3cr3t@host/x",
    ],
)
def test_an_address_with_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StoreError) as refused:
        Store.open(url)

    assert "s3cr3t" not in str(refused.value)
    assert "AKIAKEY" not in str(refused.value)


def test_what_a_library_says_is_told_without_the_secrets_of_the_environment(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")

    def fail(*_: object) -> bytes:
        raise RuntimeError("http://me:pw@host signed with wJalrXUtnFEMI")

    monkeypatch.setattr("chaos.search.campaign.places.read_start", fail)
    with pytest.raises(StoreError) as told:
        store.read("a")

    assert "wJalrXUtnFEMI" not in str(told.value)
    assert "pw" not in str(told.value)
    assert "signed with [secret]" in str(told.value)


def test_a_place_that_needs_a_package_names_it() -> None:
    with pytest.raises(StoreError, match="pip install gcsfs"):
        Store.open("gs://bucket/folder")


@pytest.mark.parametrize("url", ["nothing://bucket/folder", "", "a\nb"])
def test_what_is_no_address_is_told_in_a_sentence(url: str) -> None:
    with pytest.raises(StoreError):
        Store.open(url)


def test_a_folder_is_named_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other processes work in other folders."""
    monkeypatch.chdir(tmp_path)

    assert address_of("evidence/") == str(tmp_path.resolve() / "evidence")
    assert address_of(f"file://{tmp_path}/x") == str(tmp_path.resolve() / "x")
    assert address_of("s3://bucket/folder/") == "s3://bucket/folder"


def test_any_other_place_of_fsspec_will_do() -> None:
    store = Store.open("memory://campaigns", "night-1")

    assert store.create("cases/a/verdict.json", b"x")
    assert not store.create("cases/a/verdict.json", b"y")
    assert store.list() == ["cases/a/verdict.json"]
    assert store.read("cases/a/verdict.json") == b"x"
    assert store.read("b") is None
    assert Store.open("memory://campaigns").campaigns() == ["night-1"]


class _Refusing:
    """An object store that answers writes with these codes, one after the other, as boto's errors
    have them.
    """

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)

    def pipe_file(self, path: str, data: bytes, *, mode: str) -> None:
        del data, mode
        if self.codes:
            cause = RuntimeError()
            cause.__dict__["response"] = {"Error": {"Code": self.codes.pop(0)}}
            raise OSError(path) from cause


def test_a_write_that_met_another_of_its_name_is_tried_until_one_has_won() -> None:
    met = _Refusing("ConditionalRequestConflict", "PreconditionFailed")
    with pytest.raises(FileExistsError):
        Objects(met, "bucket").create("a", b"x")

    Objects(_Refusing("ConditionalRequestConflict"), "bucket").create("a", b"x")
    endless = _Refusing(*["ConditionalRequestConflict"] * 9)
    with pytest.raises(OSError, match="bucket/a"):
        Objects(endless, "bucket").create("a", b"x")


def test_no_campaign_rests_on_the_memory_of_one_process() -> None:
    with pytest.raises(StoreError, match="which no other machine can read"):
        Store.open("memory://campaigns", "night-2").prove()
