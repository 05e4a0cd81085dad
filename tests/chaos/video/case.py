"""What every case of the video system has in common."""

from __future__ import annotations

from functools import partial

from chaos.environment.temporal import Topology
from chaos.evidence.bills import Mode
from chaos.experiment.scenario import Case
from chaos.invariants.attempts import attempts_are_as_expected
from chaos.invariants.exits import no_unplanned_exit
from chaos.invariants.money import all_expected_is_billed, billed_at_most_expected
from chaos.invariants.recovers import recovers_within_its_bound
from chaos.invariants.secrets import no_secret_is_kept
from chaos.invariants.survival import (
    no_workflow_task_fails,
    replays_with,
    workflows_end_as_expected,
)
from chaos.process.child import CANARY
from tests.chaos.video.invariants.files import (
    artifacts_are_their_own,
    artifacts_exist_with_their_hash,
)
from tests.chaos.video.invariants.money import cost_matches_bills, every_bill_is_on_record
from tests.chaos.video.invariants.policy import attempts_within_policy
from tests.chaos.video.invariants.progress import (
    checkpoints_are_complete_and_in_order,
    progress_never_goes_back,
)
from tests.chaos.video.target import VIDEO
from workflows.videos import WORKFLOWS

histories_replay = replays_with(WORKFLOWS)
"""With today's code of the video workflows."""

COMMON = (
    workflows_end_as_expected,
    no_workflow_task_fails,
    histories_replay,
    billed_at_most_expected,
    all_expected_is_billed,
    cost_matches_bills,
    every_bill_is_on_record,
    checkpoints_are_complete_and_in_order,
    progress_never_goes_back,
    artifacts_exist_with_their_hash,
    artifacts_are_their_own,
    attempts_are_as_expected,
    attempts_within_policy,
    recovers_within_its_bound,
    no_unplanned_exit,
    no_secret_is_kept(CANARY),
)
"""What must hold after every case."""

OWN_SERVERS = frozenset({Topology.DEV, Topology.POSTGRES})
"""Of a case that needs a Temporal whose processes are the suite's own."""

video_case = partial(Case, target=VIDEO, invariants=COMMON)
"""A case of the video system against the fake API, or live."""

mocked_case = partial(video_case, modes=frozenset({Mode.MOCKED}))
"""A case that nobody can have live, or that is not worth its price."""
