"""What a stack refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos.environment.stack import NotHereError, Stack, StackConfig, StackSpec
from chaos.environment.target import Target
from chaos.evidence.journal import Journal


async def test_an_option_of_a_worker_that_there_is_not_is_refused(tmp_path: Path) -> None:
    target = Target(worker=("true",), supervisor=("true",), task_queue="mine")
    config = StackConfig(run_tag="tag", scratch=tmp_path, evidence=tmp_path, temporal_cli=None)
    journal = Journal(tmp_path / "journal.jsonl", lambda _: None)
    journal.close()  # nothing is written
    stack = Stack(StackSpec(), target, config, journal)
    misspelt: Any = {"setings": {"FAULTY": "1"}}

    for start in (stack.start_worker(**misspelt), stack.keep_workers(1, **misspelt)):
        with pytest.raises(TypeError, match="a worker has no option 'setings', only kind, "):
            await start
    with pytest.raises(TypeError, match="no option 'setings'"):
        await stack.start_supervisor(1, **misspelt)
    with pytest.raises(NotHereError, match="of one kind alone"):
        await stack.start_supervisor(1, kind="other")
