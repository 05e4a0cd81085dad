"""The Temporal server goes down while a video is awaited, and comes back on its database file."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from chaos import workload
from chaos.billing import Mode
from chaos.cluster.stack import StackSpec
from chaos.fake_api.holds import HoldTarget
from chaos.invariants.proofs import server_was_down
from chaos.invariants.survival import workflows_end_as_expected
from chaos.lab import Lab
from chaos.scenarios import Case, Scenario

OUTAGE_SECONDS = 3.0
_MOCKED_ONLY = frozenset({Mode.MOCKED})
"""Not worth the price of a video to whoever pays for it: the same case, or damage on purpose."""
_ASKED = workload.single("restart-single")
_VIDEO = _ASKED.video_prompts[0]


def _experiment(number: signal.Signals) -> Callable[[Lab], Awaitable[None]]:
    async def experiment(lab: Lab) -> None:
        video = await lab.hold(HoldTarget.VIDEO)
        server = lab.stack.server
        await lab.worker()
        await lab.start(_ASKED)
        async with lab.watched(_ASKED.workflow_id):
            await video.caught(lab.step_deadline_seconds)
            await lab.until_polled(_VIDEO)
            await lab.strike(server.child, number)
            await asyncio.sleep(OUTAGE_SECONDS)  # the outage itself
            await server.start()
            lab.healed(server.child.name)
            lab.note("the server is back; the worker was left running")
            await video.release()
            await lab.converge(lab.step_deadline_seconds)

    return experiment


def _case(name: str, number: signal.Signals, modes: frozenset[Mode]) -> Case:
    return Case(
        name=name,
        experiment=_experiment(number),
        load=lambda _: (_ASKED,),
        modes=modes,
        proofs=(server_was_down(number.name, _ASKED.workflow_id, _VIDEO, OUTAGE_SECONDS),),
    )


SCENARIO = Scenario(
    number=3,
    name="server_restart",
    title="Server Restart",
    cases=(
        _case("sigkill", signal.SIGKILL, modes=frozenset(Mode)),
        _case("sigterm", signal.SIGTERM, modes=_MOCKED_ONLY),
        Case(
            name="control_in_memory",
            experiment=_experiment(signal.SIGKILL),
            load=lambda _: (_ASKED,),
            modes=_MOCKED_ONLY,
            stack=StackSpec(persistent=False),
            proofs=(server_was_down("SIGKILL", _ASKED.workflow_id, _VIDEO, OUTAGE_SECONDS),),
            must_fail=workflows_end_as_expected,
        ),
    ),
)
