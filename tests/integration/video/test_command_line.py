"""Mistakes at the start are explained in one sentence."""

import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.video.stand_in import DEADLINE_SECONDS, KEY, Process, argv, environment


def run(*options: str, key: str | None = KEY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # our own module
        argv(*options),
        env=environment(key),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


class TestCommandLine:
    def assert_explained(self, result: subprocess.CompletedProcess[str], sentence: str) -> None:
        assert result.returncode == 2
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1
        assert KEY not in result.stderr

    @pytest.mark.parametrize("key", [None, "", " "])
    def test_a_missing_key_is_explained(self, tmp_path: Path, key: str | None) -> None:
        result = run("--port", "1", "--bills", str(tmp_path / "bills"), key=key)
        self.assert_explained(result, "set FAKE_API_KEY in the environment")

    def test_an_occupied_port_is_explained(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as occupant:
            port = str(occupant.getsockname()[1])
            result = run("--port", port, "--bills", str(tmp_path / "bills"))
        self.assert_explained(result, f"Port {port} on 127.0.0.1 cannot be used")

    def test_a_file_that_cannot_be_written_is_explained(self, tmp_path: Path) -> None:
        result = run("--port", "1", "--bills", str(tmp_path / "none" / "bills"))
        self.assert_explained(result, "cannot be opened for writing")

    def test_damaged_bills_is_explained(self, tmp_path: Path) -> None:
        (tmp_path / "bills").write_text("not a record\n")
        result = run("--port", "1", "--bills", str(tmp_path / "bills"))
        self.assert_explained(result, "Line 1 of the file of bills")

    def test_a_file_in_use_is_explained(self, shared_process: Process) -> None:
        result = run("--port", "1", "--bills", str(shared_process.bills_path))
        self.assert_explained(result, "another running process")

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (("--prot", "1"), "--prot"),
            (("--image-seconds", "-1"), "--image-seconds"),
            (("--video-seconds", "soon"), "--video-seconds"),
            (("--video-usd", "much"), "--video-usd"),
            (("--image-usd", "NaN"), "--image-usd"),
            (("--port", "99999"), "Port 99999"),
        ],
    )
    def test_a_bad_option_is_explained(
        self, tmp_path: Path, options: tuple[str, ...], sentence: str
    ) -> None:
        result = run("--port", "1", "--bills", str(tmp_path / "bills"), *options)
        self.assert_explained(result, sentence)
