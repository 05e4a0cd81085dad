from __future__ import annotations

from chaos.evidence.journal import Event
from chaos.experiment.events import CaseName, Finished, Message, Stage, TimedEvent, WorkflowEnded
from chaos.invariants.verdict import Verdict
from chaos.plugin.plain_view import PlainView
from tests.unit.chaos.plugin.story import ONE, fault, journaled, judged, reached


def test_each_line_says_when_whom_and_what_in_the_order_of_the_news() -> None:
    said: list[str] = []
    view = PlainView(said.append)

    for event in (
        (0.04, Message("temporal", "building")),
        reached(1, Stage.STARTING),
        journaled(3.25, Event.STAGE, text="worker-1 is ready (pid 7)"),
        journaled(4, Event.HEALED, CaseName("fleet", "hung_loop"), text="fleet-1 is healed"),
        fault(5, "kill", "worker-1"),
        (6, WorkflowEnded(ONE, "w")),
        judged(100.5, Verdict.PASSED),
        (1234.5, Finished("worker_crash", Verdict.PASSED, "18 checks hold")),
    ):
        view.handle(TimedEvent(*event))

    assert said == [
        "   0.0 s  temporal: building",
        "   3.2 s  worker_crash: worker-1 is ready (pid 7)",
        "   4.0 s  fleet/hung_loop: fleet-1 is healed",
        "1234.5 s  worker_crash: passed: 18 checks hold",
    ]
