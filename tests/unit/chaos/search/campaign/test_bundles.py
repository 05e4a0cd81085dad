"""A bundle of evidence: packed alike, and unpacked only as it was judged."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chaos.invariants.verdict import Verdict
from chaos.search.campaign import bundles, names
from chaos.search.campaign.bundles import BundleError, keep, pack, unpack
from chaos.search.campaign.model import CaseKind, CaseRecord, CaseRef, Judged, Versions
from chaos.search.campaign.store import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CASE = CaseRef(name="drop-a", kind=CaseKind.POINT)
RECORD = CaseRecord(
    judged=Judged(name=CASE.name, verdict=Verdict.PASSED),
    case=CASE,
    versions=Versions(suite="1", sdk="1", server="1", python="3", target="c"),
    began_at=NOW,
    ended_at=NOW,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "store"), "night-1")


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    (folder / "histories").mkdir(parents=True)
    (folder / "journal.jsonl").write_text("{}\n")
    (folder / "histories" / "a.json").write_bytes(os.urandom(2_000))
    return folder


@pytest.fixture
def kept(store: Store, evidence: Path) -> CaseRecord:
    bundle, files = keep(store, CASE.name, evidence)
    return RECORD.model_copy(update={"bundle": bundle, "files": files})


def test_what_is_unpacked_is_what_was_packed(
    store: Store, kept: CaseRecord, evidence: Path, tmp_path: Path
) -> None:
    unpack(store, kept, tmp_path / "again")

    for name in ("journal.jsonl", "histories/a.json"):
        assert (tmp_path / "again" / name).read_bytes() == (evidence / name).read_bytes()
    assert len(kept.files) == 2


def test_equal_evidence_is_an_equal_bundle(evidence: Path, tmp_path: Path) -> None:
    for number in range(9):
        (evidence / f"{9 - number}").write_text("")
    first = pack(evidence)
    assert list(first.files) == sorted(first.files), "in whatever order the folder has them"
    assert first.data[4:8] == bytes(4), "the time of a gzip file"
    moved = evidence.rename(tmp_path / "other")
    for path in moved.rglob("*"):
        os.utime(path, (0, 0))
        path.chmod(0o700)

    assert pack(moved) == first
    (moved / "journal.jsonl").write_text("{} \n")
    assert pack(moved).sha256 != first.sha256


def test_a_bundle_that_an_earlier_attempt_left_is_the_same(
    store: Store, kept: CaseRecord, evidence: Path
) -> None:
    assert keep(store, CASE.name, evidence)[0] == kept.bundle


def test_no_link_is_packed(evidence: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("precious")
    (evidence / "link").symlink_to(tmp_path / "outside" / "precious")
    (evidence / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(evidence / "pipe")

    assert sorted(pack(evidence).files) == ["histories/a.json", "journal.jsonl"]


@pytest.mark.parametrize(("limit", "most"), [("MOST_BYTES", 2_500), ("MOST_FILES", 1)])
def test_what_could_not_be_unpacked_again_is_not_packed(
    evidence: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(bundles, limit, most)

    with pytest.raises(BundleError, match="more than"):
        pack(evidence)


def test_a_case_without_evidence_says_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="its verdict alone"):
        unpack(store, RECORD, tmp_path / "again")


def test_a_missing_bundle_is_told(store: Store, kept: CaseRecord, tmp_path: Path) -> None:
    (Path(store.address) / kept.bundle).unlink()

    with pytest.raises(BundleError, match="is missing"):
        unpack(store, kept, tmp_path / "again")


def test_a_byte_that_was_changed_is_told(store: Store, kept: CaseRecord, tmp_path: Path) -> None:
    file = Path(store.address) / kept.bundle
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)

    with pytest.raises(BundleError, match="was changed"):
        unpack(store, kept, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda files: {**files, "journal.jsonl": "0" * 64}, "is not what its verdict rests on"),
        (lambda files: {**files, "more": "0" * 64}, "is missing in its bundle"),
        (lambda files: {"journal.jsonl": files["journal.jsonl"]}, "is not what its verdict"),
    ],
)
def test_a_record_of_other_files_is_told(
    store: Store,
    kept: CaseRecord,
    tmp_path: Path,
    changed: Callable[[dict[str, str]], dict[str, str]],
    told: str,
) -> None:
    record = kept.model_copy(update={"files": changed(kept.files)})

    with pytest.raises(BundleError, match=told):
        unpack(store, record, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", ["../../x", "cases/other/x.tar.gz", "cases/drop-a/x.tar.gz"])
def test_a_bundle_of_another_name_is_not_opened(store: Store, tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="a name that is not its own"):
        unpack(store, RECORD.model_copy(update={"bundle": name}), tmp_path / "again")


def test_the_evidence_of_another_case_is_none(
    store: Store, kept: CaseRecord, evidence: Path, tmp_path: Path
) -> None:
    bundle, files = keep(store, "another", evidence)
    record = kept.model_copy(update={"bundle": bundle, "files": files})

    with pytest.raises(BundleError, match="a name that is not its own"):
        unpack(store, record, tmp_path / "again")


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def _archive(*members: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for each in members:
            tar.addfile(each, io.BytesIO(b""))
    return packed.getvalue()


def _huge() -> bytes:
    """A header that promises a long name, as a parser would take in at once."""
    return _archive(_member("a" * 5_000_000))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (_archive(_member("../out")), "which no campaign packs"),
        (_archive(_member("/etc/out")), "which no campaign packs"),
        (_archive(_member("a/./b")), "which no campaign packs"),
        (_archive(_member("link", tarfile.SYMTYPE, "/etc/passwd")), "which no campaign packs"),
        (_archive(_member("link", tarfile.LNKTYPE, "other")), "which no campaign packs"),
        (_archive(_member("device", tarfile.CHRTYPE)), "which no campaign packs"),
        (_archive(_member("pipe", tarfile.FIFOTYPE)), "which no campaign packs"),
        (_archive(_member("a"), _member("a")), "is not what its verdict rests on"),
        (gzip.compress(b"\0" * 3_000_000), "not whole, or far too large"),
        (_huge(), "not whole, or far too large"),
        (_archive(_member("a"))[:-20], "not whole"),
        (gzip.compress(b"no archive" * 200), "is no archive"),
        (b"", "not whole"),
        (b"no archive", "is no archive"),
    ],
    ids=[
        *("upwards", "absolute", "dot", "link", "hard link", "device", "pipe", "twice"),
        *("bomb", "header", "cut", "no tar", "empty", "no gzip"),
    ],
)
def test_a_hostile_archive_is_refused_and_nothing_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, told: str
) -> None:
    """Even one whose hashes all fit: whoever can write there can write the record as well."""
    monkeypatch.setattr(bundles, "MOST_BYTES", 1_000_000)
    name = names.bundle(CASE.name, hashlib.sha256(data).hexdigest())
    store.create(name, data)
    nothing = hashlib.sha256(b"").hexdigest()
    hostile = ["../out", "/etc/out", "a/./b", "link", "device", "pipe", "a"]
    record = RECORD.model_copy(update={"bundle": name, "files": dict.fromkeys(hostile, nothing)})

    with pytest.raises(BundleError, match=told):
        unpack(store, record, tmp_path / "again")
    assert sorted(os.listdir(tmp_path)) == ["store"]  # noqa: PTH208 - hidden ones as well
