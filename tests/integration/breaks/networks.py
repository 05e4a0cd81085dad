"""The network's scenarios turn red when what they guard is broken: real runs of real workers."""

from __future__ import annotations

from dataclasses import replace

from chaos.faults import BadNetwork
from chaos.invariants.verdict import Verdict
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.scenarios import network_api, network_server
from tests.chaos.video.scenarios.network_server import begin, packets_case, trials
from tests.chaos.video.specs import VideoSpec
from tests.integration.breaks.breaking import Break

_, SLOW, SILENT, HALF_OPEN, PACKETS = network_server.SCENARIO.cases
API_BROKEN, _, API_SILENT = network_api.SCENARIO.cases
CUT = network_server.CUT


async def _nothing(lab: VideoLab, spec: VideoSpec, fault: BadNetwork) -> None:
    del fault
    await begin(lab, spec)


async def _no_packet_is_lost(lab: VideoLab) -> None:
    for spec in (network_server.LOSSY, network_server.PARTED):
        await lab.worker(task_queue=spec.workflow_id, packets=True)
        await begin(lab, spec)


async def _too_late(lab: VideoLab, spec: VideoSpec, fault: BadNetwork) -> None:
    await begin(lab, spec)
    await lab.until_ended(spec.workflow_id)
    async with lab.during(fault):
        pass


BREAKS = (
    Break("probes_as_the_sdk_does", HALF_OPEN, "attempts_are_as_expected"),
    Break("is_given_up_soon", trials("cut", "server", CUT), "attempts_are_as_expected"),
    Break("forgets_what_was_bought", SILENT, "billed_at_most_expected"),
    Break("pays_twice", SLOW, "billed_at_most_expected"),
    Break("doubts_nothing", API_BROKEN, "every_bill_is_on_record"),
    Break("doubts_nothing", API_BROKEN, "was_in_doubt[api-reset-paid]"),
    Break("doubts_what_was_not_sent", API_BROKEN, "nothing_is_in_doubt[api-cut]"),
    Break("gives_up_at_once", API_SILENT, "workflows_end_as_expected"),
    Break("takes_a_part_for_the_whole", API_BROKEN, "artifacts_are_their_own"),
    Break(
        "nothing is cut",
        trials("nothing", "server", replace(CUT, act=_nothing)),
        "network_was_hit[worker-1>server: down]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
    Break("is_given_up_soon", PACKETS, "attempts_are_as_expected"),
    Break(
        "no packet is lost",
        packets_case(_no_packet_is_lost),
        "packets_were_hit[worker-1>server]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
    Break(
        "the cut comes too late",
        trials("late", "server", replace(CUT, act=_too_late)),
        "awaited_when_hit[worker-1>server: down]",
        Verdict.UNKNOWN,
        sabotage=False,
    ),
)
