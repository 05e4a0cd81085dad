from __future__ import annotations

import pytest

from chaos.waiting import DeadlineExceededError, wait_until


async def test_a_condition_is_asked_until_it_is_true() -> None:
    answers = iter([False, False, True])

    await wait_until(lambda: next(answers), what="three", deadline_seconds=5, interval_seconds=0)

    assert next(answers, "none left") == "none left"


async def test_a_coroutine_may_be_the_condition() -> None:
    asked = []

    async def condition() -> bool:
        asked.append(1)
        return len(asked) == 2

    await wait_until(condition, what="two", deadline_seconds=5, interval_seconds=0)

    assert len(asked) == 2


async def test_a_deadline_names_the_condition() -> None:
    with pytest.raises(DeadlineExceededError, match=r"the server answers: not within 0.01 s"):
        await wait_until(lambda: False, what="the server answers", deadline_seconds=0.01)
