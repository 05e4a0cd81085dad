"""The journal goes away under live workers: nothing is paid for twice, and work waits for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.environment.stack import StackSpec
from chaos.evidence.history import Status
from chaos.process.child import child_environment
from chaos.process.reaper import Reaper
from tests.chaos.video import specs
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.target import VIDEO
from tests.integration.conftest import BenchIn
from tests.integration.workflows.bench import DEADLINE_SECONDS, Bench, final
from workflows.payments.engine import file_of

pytestmark = [
    pytest.mark.nightly,  # for the retry policy's own 10 s
    pytest.mark.sample,
    pytest.mark.asyncio(loop_scope="session"),
]

NOT_WHERE_IT_WAS = "the payment journal is not where it was; restore its latest state."


@contextmanager
def _away(journal: Path) -> Iterator[None]:
    """It is moved, with what SQLite keeps beside it, and put back."""
    away = journal.parent / "away"
    away.mkdir()
    files = list(journal.parent.glob(f"{journal.name}*"))
    for file in files:
        file.rename(away / file.name)
    yield
    assert not list(journal.parent.glob(f"{journal.name}*")), "nobody began another one"
    for file in files:
        (away / file.name).rename(file)
    away.rmdir()


def _start_another(bench: Bench, reaper: Reaper) -> subprocess.CompletedProcess[str]:
    """A worker with the same journal and artifacts."""
    settings = {
        "GEMINI_API_KEY": "a-key",
        "TEMPORAL_ADDRESS": bench.lab.stack.temporal.address,
        "ARTIFACTS_DIR": str(bench.artifacts),
        "PAYMENT_JOURNAL_URL": bench.lab.payment_journal_url,
    }
    return subprocess.run(
        VIDEO.worker,
        env=child_environment(reaper.run_tag, bench.folder, settings),
        cwd=bench.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def test_a_journal_that_is_moved_away_stops_all_payment_until_it_is_back(
    bench_in: BenchIn, tmp_path: Path, reaper: Reaper
) -> None:
    spec = specs.single("journal-moved-away")
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        await bench.lab.worker()
        journal = file_of(bench.lab.payment_journal_url)
        assert journal
        image = await bench.set_breakpoint(BreakAt.IMAGE, spec.character_prompt)
        await bench.lab.start(spec)
        await image.reached(DEADLINE_SECONDS)
        await bench.handle(spec).signal("pause")
        await image.resume()
        await bench.until(spec, lambda now: len(now.artifacts) == 1, what="the character is made")

        with _away(journal):
            other = _start_another(bench, reaper)
            await bench.handle(spec).signal("resume")
            await bench.lab.until_failed(spec.workflow_id, "start_video", attempts=1)
            requested = await bench.requested(spec)
        workflow = await bench.ended(spec)

        assert (other.returncode, other.stderr) == (2, f"worker: {NOT_WHERE_IT_WAS}\n")
        assert [prompt for _, prompt in requested] == [spec.character_prompt]
        assert workflow.status is Status.COMPLETED
        assert await bench.billed(spec) == list(spec.prompts)
        assert final(workflow).possible_waste_usd == 0


async def test_a_reply_that_comes_while_the_journal_is_away_is_not_paid_for_again(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    spec = specs.single("reply-without-a-journal")
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        worker = await bench.lab.worker()
        journal = file_of(bench.lab.payment_journal_url)
        assert journal
        video = await bench.set_breakpoint(BreakAt.VIDEO_START, spec.video_prompts[0])
        await bench.lab.start(spec)
        await video.reached(DEADLINE_SECONDS)

        with _away(journal):
            await video.resume()
            await bench.until(
                spec,
                lambda _: "waits to be stored" in worker.child.log.read_text(),
                what="the reply waits",
            )
        workflow = await bench.ended(spec)

        assert workflow.status is Status.COMPLETED
        assert await bench.billed(spec) == list(spec.prompts)
        assert final(workflow).possible_waste_usd == 0


async def test_an_operation_may_not_have_the_name_of_the_programs_own_files(
    bench_in: BenchIn, tmp_path: Path
) -> None:
    spec, other = specs.single("paid.db-journal"), specs.single("paid.db-journals")
    async with bench_in(tmp_path, StackSpec(persistent=False)) as bench:
        bench.artifacts.mkdir()
        settings = {"PAYMENT_JOURNAL_URL": f"sqlite:///{bench.artifacts}/paid.db"}
        await bench.lab.worker(settings=settings)
        refused = await bench.run(spec)

        assert refused.failure_message == (
            "the operation failed: the operation id 'paid.db-journal' is the name of a file that "
            "the workers keep there; use another id."
        )
        assert [(a.kind, a.attempt) for a in refused.activities] == [("open_operation", 1)]
        assert (await bench.run(other)).status is Status.COMPLETED
