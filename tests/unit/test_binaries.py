"""The order of the ways to a Temporal CLI, and what is said when they fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.binaries import (
    BinaryNotFoundError,
    SearchCancelledError,
    Source,
    TemporalCli,
    find,
    find_temporal_cli,
    ways,
)
from chaos.binaries.cache import cache_folder, cached_path
from chaos.binaries.examine import parse_server_version
from chaos.binaries.model import BadBinaryError, Search, WayFailedError, shorten
from chaos.binaries.ways import last_errors, parse_go_version


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("TEMPORAL_CLI", raising=False)


def _way(tried: list[Source], source: Source, *, works: bool) -> find.Way:
    def attempt(_: Search) -> TemporalCli:
        tried.append(source)
        if works:
            return TemporalCli(Path("/bin/temporal"), "temporal version 1", "1.29.1", source)
        raise WayFailedError(f"no luck with {source}")

    return source, attempt


@pytest.fixture
def try_ways(monkeypatch: pytest.MonkeyPatch) -> Callable[[Source | None], list[Source]]:
    """Searches where only the given way works; returns what was tried, in order."""

    def search(working: Source | None) -> list[Source]:
        tried: list[Source] = []
        for name in ("READY", "INSTALLING"):
            real: tuple[find.Way, ...] = getattr(find, name)
            fakes = tuple(_way(tried, source, works=source is working) for source, _ in real)
            monkeypatch.setattr(find, name, fakes)
        assert working is find_temporal_cli(None, announce=print).source
        return tried

    return search


@pytest.mark.parametrize(
    ("working", "tried"),
    [
        (Source.PATH, [Source.PATH]),
        (Source.CACHE, [Source.PATH, Source.CACHE]),
        (Source.DOWNLOAD, [Source.PATH, Source.CACHE, Source.CACHE, Source.DOWNLOAD]),
        (
            Source.BUILD,
            [Source.PATH, Source.CACHE, Source.CACHE, Source.DOWNLOAD, Source.BUILD],
        ),
    ],
)
def test_the_first_way_that_works_ends_the_search(
    try_ways: Callable[[Source | None], list[Source]], working: Source, tried: list[Source]
) -> None:
    assert tried == try_ways(working)


def test_the_message_names_each_way_with_its_reason_and_what_to_do(
    try_ways: Callable[[Source | None], list[Source]],
) -> None:
    with pytest.raises(BinaryNotFoundError) as caught:
        try_ways(None)

    for source in (Source.PATH, Source.CACHE, Source.DOWNLOAD, Source.BUILD):
        assert str(caught.value).count(f"  - {source}: no luck with {source}\n") == 1
    assert "Put `temporal` on PATH" in str(caught.value)
    assert "install Go 1.25" in str(caught.value)


def test_a_named_file_that_is_missing_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        BadBinaryError, match=r"^--temporal-cli names .*/none, which does not exist\.$"
    ):
        find_temporal_cli(tmp_path / "none", announce=print)

    monkeypatch.setenv("TEMPORAL_CLI", str(tmp_path))
    with pytest.raises(BadBinaryError, match=r"^TEMPORAL_CLI names .*, which is a folder\.$"):
        find_temporal_cli(None, announce=print)


def test_a_named_file_that_is_not_executable_ends_the_search(tmp_path: Path) -> None:
    plain = tmp_path / "temporal"
    plain.write_text("text")

    with pytest.raises(BadBinaryError, match="is not executable"):
        find_temporal_cli(plain, announce=print)


def test_the_option_counts_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_CLI", str(tmp_path))

    with pytest.raises(BadBinaryError, match=r"^--temporal-cli names"):
        find_temporal_cli(tmp_path / "none", announce=print)


def test_a_cancelled_search_tries_nothing() -> None:
    cancel = threading.Event()
    cancel.set()

    with pytest.raises(SearchCancelledError):
        find_temporal_cli(None, announce=print, cancel=cancel)


def test_a_cache_folder_that_cannot_be_written_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHAOS_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BinaryNotFoundError) as caught:
        find_temporal_cli(None, announce=print)

    assert "cannot be written (Not a directory)" in caught.value.failures[Source.BUILD]


def test_the_download_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_NO_DOWNLOAD", "1")

    with pytest.raises(WayFailedError, match="CHAOS_NO_DOWNLOAD is set"):
        ways.downloaded(Search(folder=tmp_path, announce=print))


def test_without_go_the_reason_says_which_go_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(WayFailedError, match=r"no `go` on PATH \(Go 1\.25 or newer"):
        ways.built(Search(folder=tmp_path, announce=print))


def test_the_cache_folder_is_the_users_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == tmp_path / "cache"

    monkeypatch.delenv("CHAOS_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert cache_folder() == tmp_path / "user" / "temporal-fault-tolerance"


def test_the_cached_file_has_its_version_in_its_name(tmp_path: Path) -> None:
    assert cached_path(Search(folder=tmp_path, announce=print)) == tmp_path / "temporal-1.5.1"


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)", "1.29.1"),
        ("temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)", "1.29.1"),
        ("temporal version 0.11.0 (server 1.22.3) (ui 2.21.3)", "1.22.3"),
        ("a warning\ntemporal version 1.5.1 (Server 1.29.1, UI 2.42.1)", "1.29.1"),
        ("temporal version 1.31.2", None),
        ("true (GNU coreutils) 9.1", None),
        ("", None),
    ],
)
def test_only_the_clis_answer_has_a_server_version(answer: str, version: str | None) -> None:
    assert version == parse_server_version(answer)


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.25rc1 linux/arm64", (1, 25)),
        ("go version devel go1.27-1a2b3c Mon Jan 1", (1, 27)),
        ("gopher", None),
    ],
)
def test_gos_version_is_read(answer: str, version: tuple[int, int] | None) -> None:
    assert version == parse_go_version(answer)


def test_the_reason_of_a_failed_build_leaves_out_package_names() -> None:
    output = "go: downloading a v1\nnet/http\n# pkg/x\nx.go:1: no space left on device\nos/user"

    assert last_errors(output) == "# pkg/x / x.go:1: no space left on device"
    assert last_errors("signal") == "signal"
    assert last_errors("") == "it said nothing"


def test_a_long_reason_keeps_its_end_in_one_line() -> None:
    assert shorten("a\n b") == "a b"
    assert shorten("x" * 50 + " end", limit=10) == "… xxxx end"
