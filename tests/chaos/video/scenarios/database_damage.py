"""The file of the server's database is damaged while a video is awaited, and restored from a backup
that is older than all that was paid for: by the workers' payment journal nothing is paid for twice.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from chaos.environment.temporal import Topology
from chaos.experiment.scenario import Case, Scenario
from chaos.faults import Damage, DamagedDatabase, Seen, back_up, try_damaged
from chaos.invariants import Invariant, proof
from chaos.invariants.recovery.retries import RESTORE
from chaos.invariants.storage import (
    damage_done,
    damage_is_noticed,
    database_was_damaged,
    done_to_storage,
)
from chaos.invariants.survival import workflows_end_as_expected
from tests.chaos.video import specs
from tests.chaos.video.case import COMMON, histories_replay, mocked_case
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.breakpoints import BreakAt
from tests.chaos.video.invariants.seen import paid_requests_of, polls_of, video
from tests.chaos.video.lab import VideoLab
from tests.chaos.video.specs import VideoSpec

SEED = 18

_SEEN = {
    Damage.BYTES_FLIPPED: Seen.UNREADABLE,
    Damage.TRUNCATED: Seen.REFUSED,
    Damage.GONE: Seen.LOST,
}
"""What shows an operator that something is wrong."""

_AT_ONCE = specs.single("damage-at-once")
# The backup has an attempt in flight that ended long ago. The server waits for its heartbeat in
# vain.
_IN_HAND = specs.single("damage-in-hand").model_copy(update={"attempts": {"generate_character": 2}})


@dataclass(frozen=True)
class _Cure:
    """What is done about the damage. Whoever leaves out a part of it has a control to look at."""

    backup: bool = True
    new_workers: bool = True


_WHOLE = _Cure()


def _before_there_is_a_worker(
    how: Damage, cure: _Cure = _WHOLE
) -> Callable[[VideoLab], Awaitable[None]]:
    async def experiment(lab: VideoLab) -> None:
        """The backup has a workflow that nobody has begun to work at."""
        video = await lab.set_breakpoint(BreakAt.VIDEO)
        await lab.start(_AT_ONCE)
        if cure.backup:
            await back_up(lab)
        await lab.worker()
        await video.reached(lab.step_deadline_seconds)
        await _damage(lab, how, _AT_ONCE, cure)
        await video.resume()

    return experiment


async def _while_the_image_is_made(lab: VideoLab) -> None:
    """The backup has an attempt in flight, whose outcome comes after it."""
    image = await lab.set_breakpoint(BreakAt.IMAGE)
    video = await lab.set_breakpoint(BreakAt.VIDEO)
    await lab.worker()
    await lab.start(_IN_HAND)
    await image.reached(lab.step_deadline_seconds)
    await back_up(lab)
    await image.resume()
    await video.reached(lab.step_deadline_seconds)
    await _damage(lab, Damage.BYTES_FLIPPED, _IN_HAND)
    await video.resume()
    lab.note("waiting until the server misses the heartbeat (30 s) and retries (10 s)")
    async with lab.watched(_IN_HAND.workflow_id):
        await lab.converge(lab.step_deadline_seconds)


async def _damage(lab: VideoLab, how: Damage, spec: VideoSpec, cure: _Cure = _WHOLE) -> None:
    """Stop the server, damage its file, see what it does with that, and restore the backup.

    Workers have to be new then: the old one has the workflow in its cache, under the same run, as
    it was before the damage, and would go on from there with a history that tells of less.
    """
    await lab.until_polled(spec.video_prompts[0])
    (worker,) = lab.stack.workers
    await lab.signal(lab.stack.server.child, signal.SIGTERM)
    fault = DamagedDatabase(how=how, seed=SEED)
    await lab.begin(fault)
    await try_damaged(lab, spec.workflow_id)
    if cure.new_workers:
        await lab.signal(worker.child, signal.SIGKILL)
    if cure.backup:
        await lab.end(fault)
    if cure.new_workers:
        await lab.worker()


def _case(
    how: Damage,
    spec: VideoSpec,
    experiment: Callable[[VideoLab], Awaitable[None]],
    name: str | None = None,
    must_fail: Invariant | None = None,
) -> Case:
    video = spec.video_prompts[0]
    damaged = (
        database_was_damaged(how),
        awaited_before_the_damage(how, spec.workflow_id, video),
    )
    went_back = paid_between_backup_and_damage(spec.workflow_id)
    return mocked_case(
        name=name or str(how),
        experiment=experiment,
        load=lambda _: (spec,),
        proofs=damaged if must_fail else (*damaged, went_back),
        invariants=(
            *COMMON,
            damage_is_noticed(how, _SEEN[how]),
            nothing_is_asked_for_after_the_damage(spec.workflow_id),
        ),
        must_fail=must_fail,
        # A control's workflow may hang, for its history is spoilt.
        converge_deadline_seconds=20.0 if must_fail else 120.0,
        topologies=frozenset({Topology.DEV}),
        about_seconds=30,
    )


def paid_between_backup_and_damage(workflow_id: str) -> Invariant:
    """All that a workflow paid for it paid for after the backup and before the damage, and after
    the backup was restored it came to these steps once more.
    """

    @proof("paid_between_backup_and_damage")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        moments = [done_to_storage(evidence, kind) for kind in ("backup", "damage", RESTORE)]
        if None in moments:
            yield "there was no backup, no damage or no restoration"
            return
        backup, damage, restored = (entry.at for entry in moments if entry)
        expected = next(e for e in evidence.specs if e.workflow_id == workflow_id)
        for prompt in expected.prompts:
            bills = [bill.at for bill in evidence.billed if bill.prompt == prompt]
            if not bills or not backup < bills[0] < damage:
                yield f"{prompt!r} was not paid for between the backup and the damage"
        workflow = evidence.workflows.get(workflow_id)
        for kind in ("generate_character", "start_video"):
            done = [a.closed_at for a in workflow.activities if a.kind == kind] if workflow else []
            if not any(at and at > restored for at in done):
                yield f"{kind} was not come to again after the backup was restored"

    return judge


def nothing_is_asked_for_after_the_damage(workflow_id: str) -> Invariant:
    """The workers' payment journal answers for all that was paid for before."""

    def judge(evidence: VideoEvidence) -> Iterator[str]:
        damage = done_to_storage(evidence, "damage")
        for request in paid_requests_of(evidence, workflow_id):
            if damage and request.at > damage.at:
                yield f"{request.call} {request.prompt!r} was asked for again"

    return Invariant("nothing_is_asked_for_after_the_damage", judge)


def awaited_before_the_damage(how: str, workflow_id: str, prompt: str) -> Invariant:
    """A workflow awaited its video when the database was damaged."""

    @proof(f"awaited_before_the_damage[{how}]")
    def judge(evidence: VideoEvidence) -> Iterator[str]:
        damage, bill = damage_done(evidence, how), video(evidence, prompt)
        awaited = bill and damage and any(p.at < damage.at for p in polls_of(evidence, bill))
        if not awaited:
            yield f"{workflow_id} did not await its video before the damage"

    return judge


SCENARIO = Scenario(
    name="database_damage",
    title="Damaged Database",
    cases=(
        _case(Damage.BYTES_FLIPPED, _IN_HAND, _while_the_image_is_made),
        _case(Damage.TRUNCATED, _AT_ONCE, _before_there_is_a_worker(Damage.TRUNCATED)),
        _case(Damage.GONE, _AT_ONCE, _before_there_is_a_worker(Damage.GONE)),
        _case(
            Damage.GONE,
            _AT_ONCE,
            _before_there_is_a_worker(Damage.GONE, _Cure(backup=False)),
            name="control_without_a_backup",
            must_fail=workflows_end_as_expected,
        ),
        _case(
            Damage.GONE,
            _AT_ONCE,
            _before_there_is_a_worker(Damage.GONE, _Cure(new_workers=False)),
            name="control_with_the_old_worker",
            must_fail=histories_replay,
        ),
    ),
)
