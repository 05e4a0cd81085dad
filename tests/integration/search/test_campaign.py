"""A campaign as a user runs it: worker processes, one of which is killed in mid-case, a control
server that is killed and comes back, and the evidence in an S3 server.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from benchmarks.bed import Bed
from benchmarks.campaign_bed import Fleet, campaign_bed
from benchmarks.campaign_results import campaign_in, problems, read_both, report_problems
from chaos.invariants.verdict import Verdict
from chaos.process.reaper import Reaper
from chaos.process.waiting import wait_until
from chaos.report.campaign.record import CampaignReport
from chaos.search.campaign import names

POINTS = 8

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(300)]


async def _with_a_case(client: Client, campaign_id: str, fleet: Fleet) -> str | None:
    """A machine that has told of a case of its own, which has not ended."""
    try:
        described = await client.get_workflow_handle(campaign_id).describe()
    except RPCError:
        return None
    for activity in described.raw_description.pending_activities:
        if activity.activity_type.name == names.CASE and activity.heartbeat_details.payloads:
            told = activity.last_worker_identity
            for name, child in fleet.machines.items():
                if str(child.pid) in told:
                    return name
    return None


@pytest.mark.sample
async def test_nothing_is_lost_or_judged_twice_when_a_worker_and_the_control_server_are_killed(
    reaper: Reaper, temporal_cli: Path, tmp_path: Path
) -> None:
    bed = Bed(tmp_path, reaper.run_tag, temporal_cli)
    async with campaign_bed(bed, "campaign", s3=True) as place, place.control() as control:
        client = await control.server.connect()
        async with place.fleet(control, 2, cores=None) as fleet:
            command = place.explore(control, f"--sample={POINTS}")
            command.start()
            try:
                killed = await _killed_with_a_case(client, place.place.url, fleet)
                await control.restart()
                code = await command.wait(240)
            finally:
                await command.discard()
            assert code == 0, command.log.read_text()
            assert fleet.left() == []

        kept, recorded = await read_both(client, place.place.url)
        missing = [*report_problems(place.place.url, kept, tmp_path / "checked")]

    assert [*problems(kept, recorded), *missing] == []
    written = (place.folder / "reports" / kept.campaign_id / "campaign.json").read_bytes()
    report = CampaignReport.model_validate_json(written)
    assert (report.verdict, report.gaps) == (Verdict.PASSED, ())
    assert {each.case for each in report.again} == kept.run_again.keys()
    assert [*kept.verdicts.values()] == ["passed"] * POINTS
    lost = {loss.machine for record in kept.run_again.values() for loss in record.judged.lost}
    dead = {machine for machine in lost if machine.endswith(f"-{killed}")}
    assert dead, lost
    assert lost - dead <= {""}, "of one that had told nothing yet, nobody knows whose it was"


async def _killed_with_a_case(client: Client, url: str, fleet: Fleet) -> int:
    """Wait for a worker that has a case, kill it, and start another; the pid of the dead one."""
    found: list[str] = []

    async def has_a_case() -> bool:
        try:
            campaign_id = await asyncio.to_thread(campaign_in, url)
        except RuntimeError:
            return False
        found.extend(filter(None, [await _with_a_case(client, campaign_id, fleet)]))
        return bool(found)

    await wait_until(has_a_case, what="a worker has a case", deadline_seconds=120)
    pid = fleet.machines[found[0]].pid
    await fleet.machines[found[0]].kill()
    fleet.start(found[0])
    return pid
