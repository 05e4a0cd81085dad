"""A fault at a boundary is done to the first call there whose worker still lives."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.faults import AtBoundary
from chaos.process.child import ChildError
from chaos.wire.specs import WireError


class Watched:
    """Stands for a lab, its watches, and the calls that come there one after another."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.done: list[str] = []
        self.released = 0
        self.target = "worker-1"

    async def at(self, *_: Any, **__: Any) -> Watched:
        if not self.errors:
            raise WireError("The wire is gone.")
        return self

    async def reached(self) -> Watched:
        return self

    async def release(self) -> None:
        self.released += 1

    def note(self, text: str) -> None:
        del text

    async def kill(self) -> None:
        error = self.errors.pop(0)
        if error:
            raise error
        self.done.append("kill")


def _fault() -> AtBoundary:
    return AtBoundary.model_validate({"boundary": "activity * completing 2", "action": "kill"})


@pytest.mark.parametrize("gone", [ChildError("it was gone"), WireError("it is not held")])
async def test_whose_worker_has_died_of_something_else_is_passed_over(gone: Exception) -> None:
    lab = Watched(gone, None)
    await _fault().inject(lab)  # type: ignore[arg-type]  # it has all of a lab that is used

    assert lab.done == ["kill"]
    assert lab.released == 1


async def test_without_a_wire_nobody_waits() -> None:
    with pytest.raises(WireError, match="The wire is gone"):
        await _fault().inject(Watched(ChildError("it was gone")))  # type: ignore[arg-type]  # as above
