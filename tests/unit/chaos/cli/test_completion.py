"""`chaos completion`: a script for each shell, with commands, options and scenarios."""

from __future__ import annotations

import pytest

from chaos.__main__ import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_for_the_program_and_knows_the_scenarios(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0

    text = capsys.readouterr().out
    assert "python -m chaos" not in text
    assert "worker_crash" in text
    assert "topology" in text


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "tcsh"])

    assert "tcsh" in capsys.readouterr().err
