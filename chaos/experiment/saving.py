"""Saves the evidence of a case, each part whether or not the others succeed."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from chaos.environment.target import Target
from chaos.evidence.case import BOOKS, save_book, save_prefix
from chaos.evidence.files import write_file
from chaos.evidence.histories import save_histories
from chaos.evidence.journal import Event, Journal
from chaos.evidence.spec import save_specs
from chaos.experiment.lab import Lab
from chaos.experiment.scenario import Case
from chaos.process.child import ChildError

_Step = tuple[str, Callable[[], Awaitable[None]]]

_EXPECTED_TROUBLE = (ChildError, TimeoutError)


def ends_the_run(error: BaseException) -> bool:
    """Whether it concerns more than one case. An experiment may raise anything: `pytest.fail` and
    `sys.exit` raise no Exception, and it may cancel a task of its own.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)


def note_trouble(journal: Journal, folder: Path, error: BaseException) -> None:
    """Record an error; an unexpected one with its traceback."""
    if isinstance(error, _EXPECTED_TROUBLE):
        journal.add(Event.TROUBLE, str(error))
        return
    write_file(folder / "trouble.txt", "".join(traceback.format_exception(error)))
    journal.add(Event.TROUBLE, f"the experiment raised an error: {error!r} (see trouble.txt)")


async def save_all(case: Case, lab: Lab, folder: Path) -> None:
    """Save all evidence, each part whether or not the others succeed: if a target's own reader
    raises, the histories are saved all the same.
    """
    target, prefix = case.target, lab.stack.temporal.prefix

    async def save_all_histories() -> None:
        ids = [f"{prefix}{spec.workflow_id}" for spec in lab.specs]
        for child in await save_histories(lab.client, folder, ids, lab.started):
            lab.note(
                f"{child} still runs, and nothing waits for it: it is not judged, unless "
                "`lab.expect` names it"
            )

    async def save_prefix_too() -> None:
        save_prefix(folder, prefix)

    steps: list[_Step] = [
        ("the lab could not be closed", lab.close),
        (
            "the specs could not be saved",
            partial(save_specs, folder, lab.specs, target.data_converter),
        ),
        ("the prefix could not be saved", save_prefix_too),
        ("the histories could not be saved", save_all_histories),
        ("the lab could not be saved", partial(lab.save, folder)),
        ("a schedule could not be deleted", lab.delete_schedules),
    ]
    await _take(steps, lab.journal)


async def save_all_books(target: Target, folder: Path, journal: Journal) -> None:
    """Save the payment records. The stack is down: while its processes live, payments may still be
    made.
    """
    steps: list[_Step] = [
        (
            f"the target's {book.text} cannot be read",
            partial(asyncio.to_thread, save_book, folder, target.reading, book),
        )
        for book in BOOKS
    ]
    await _take(steps, journal)


async def _take(steps: Sequence[_Step], journal: Journal) -> None:
    for what, step in steps:
        try:
            await step()
        except BaseException as error:
            if ends_the_run(error):
                raise
            journal.add(Event.TROUBLE, f"{what}: {error!r}")
