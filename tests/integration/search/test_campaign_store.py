"""The store of a campaign on a real S3 server: written once, whoever writes, and told in sentences
where it cannot be.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from s3fs import S3FileSystem  # type: ignore[import-untyped]  # it has no types

from chaos.process.reaper import Reaper
from chaos.report.campaign.files import write_reports
from chaos.search.campaign.bundles import keep, pack
from chaos.search.campaign.names import verdict
from chaos.search.campaign.places import Objects
from chaos.search.campaign.store import Store, StoreError
from tests.integration.search.s3_server import BUCKET, s3_server, told
from tests.unit.chaos.report.made_campaign import NOW, failed, passed, whole

DAY = timedelta(days=1)
EVIDENCE = f"s3://{BUCKET}/evidence"


@pytest.fixture(scope="module")
def server(reaper: Reaper, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; this process finds it by its environment."""
    with (
        s3_server(reaper, tmp_path_factory.mktemp("home")) as environment,
        pytest.MonkeyPatch.context() as patched,
    ):
        for name, value in environment.items():
            patched.setenv(name, value)
        yield environment["AWS_ENDPOINT_URL"]


@pytest.fixture
def forgotten() -> Iterator[None]:
    """A client keeps the environment in which it was made."""
    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def store(server: str, request: pytest.FixtureRequest) -> Store:
    assert server
    return Store.open(EVIDENCE, request.node.name)


def test_a_name_has_one_content(store: Store) -> None:
    store.prove()

    assert store.create("cases/a/verdict.json", b"first")
    assert store.create("cases/a/verdict.json", b"first")
    assert not store.create("cases/a/verdict.json", b"second")
    assert store.read("cases/a/verdict.json") == b"first"
    assert store.read("cases/b/verdict.json") is None


def test_what_others_wrote_meanwhile_is_listed(store: Store) -> None:
    """A listing is never a remembered one."""
    assert store.list("cases") == []
    other = Store.open(EVIDENCE, "test_what_others_wrote_meanwhile_is_listed")
    for name in ("cases/a/verdict.json", "cases/b/verdict.json", "turns/000001.json"):
        other.create(name, b"x")

    assert store.list("cases") == ["cases/a/verdict.json", "cases/b/verdict.json"]
    assert len(store.list()) == 3
    assert store.read_all(store.list("cases")) == dict.fromkeys(store.list("cases"), b"x")
    assert "test_what_others_wrote_meanwhile_is_listed" in Store.open(EVIDENCE).campaigns()


def test_of_eight_writers_at_once_one_wins(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda i: store.create("a/verdict.json", b"%d" % i), range(8)))

    assert won.count(True) == 1
    assert store.read("a/verdict.json") == b"%d" % won.index(True)


def test_a_bundle_of_many_parts_arrives_whole(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 takes a large file in parts; the condition is on the last request."""
    (tmp_path / "wire.bin").write_bytes(os.urandom(12_000_000))
    files = S3FileSystem(use_listings_cache=False)
    in_parts = partial(files.pipe_file, chunksize=5 * 2**20)
    monkeypatch.setattr(files, "pipe_file", in_parts)
    assert isinstance(store.place, Objects)
    assert store.place.files is files
    bundle, _ = keep(store, "drop-a", tmp_path)

    assert store.read(bundle) == pack(tmp_path).data
    assert not store.create(bundle, os.urandom(11_000_000))


def test_a_campaign_is_reported_from_there_with_what_is_missing(
    server: str, tmp_path: Path
) -> None:
    assert server
    records = [passed(1), failed(2), passed(3)]
    made = whole(f"{EVIDENCE}/reported", tmp_path, records)
    report = write_reports(made.store, tmp_path / "report", verify=True)

    assert (report.verdict, report.gaps, report.totals.judged) == ("failed", (), 3)
    assert report.totals.store_bytes == sum(made.store.sizes().values())
    bundle = next(each for each in made.store.list("cases") if each.endswith(".tar.gz"))
    files, root = S3FileSystem(use_listings_cache=False), f"{EVIDENCE}/reported/campaign-1"
    files.pipe_file(f"{root}/{bundle}", b"changed")
    files.rm_file(f"{root}/{verdict('order-charge-3')}")
    report = write_reports(made.store, tmp_path / "report", verify=True)
    assert {gap.case for gap in report.gaps} == {"order-charge-1", "order-charge-3", ""}
    again = whole(f"{EVIDENCE}/reported", tmp_path, records, "campaign-2", began_at=NOW + DAY)
    assert write_reports(again.store, tmp_path / "report").since == "campaign-1"


def test_a_missing_bucket_is_told(server: str) -> None:
    assert server
    store = Store.open("s3://no-such-bucket/evidence", "night-1")

    for use in (
        lambda: store.create("a", b"x"),
        lambda: store.read("a"),
        store.list,
        Store.open("s3://no-such-bucket/evidence").campaigns,
    ):
        with pytest.raises(StoreError, match="there is no such place as s3://no-such-bucket"):
            use()


@pytest.mark.usefixtures("forgotten")
def test_a_wrong_key_is_told_without_showing_it(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-right-one")
    told(f"{server}/moto-api/reset-auth", "POST", b"0")
    try:
        with pytest.raises(StoreError, match="may not be written to with the rights") as refused:
            Store.open(f"{EVIDENCE}/wrong-key", "night-1").create("a", b"x")
    finally:
        told(f"{server}/moto-api/reset-auth", "POST", b"Infinity")

    assert "not-the-right-one" not in str(refused.value)
    assert os.environ["AWS_ACCESS_KEY_ID"] not in str(refused.value)


@pytest.mark.usefixtures("forgotten")
def test_no_key_is_told(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    with pytest.raises(StoreError, match="has no keys for it"):
        Store.open(EVIDENCE, "night-1").create("a", b"x")


@pytest.mark.usefixtures("forgotten")
def test_a_server_that_is_gone_is_told(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    with pytest.raises(StoreError, match=r"cannot be read .*check the address"):
        Store.open(EVIDENCE, "night-1").read("a")
