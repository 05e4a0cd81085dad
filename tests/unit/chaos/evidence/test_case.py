"""The provider's side of a live case, written from what the workers' own ledger knows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from pydantic import TypeAdapter
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.client import Client, WorkflowHistory

from chaos.evidence.bills import Billing, Mode
from chaos.evidence.case import (
    BILLING,
    PAID_CALLS,
    Evidence,
    save_billing,
    save_histories,
    save_live_ledger,
    save_paid_calls,
    save_specs,
)
from chaos.experiment.judge import judge, reason_of, verdict_of
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from tests.chaos.video import specs
from tests.chaos.video.estimate import in_mode
from tests.chaos.video.fake_api.ledger import (
    Answered,
    Billed,
    Call,
    Item,
    Received,
    Record,
    read_ledger,
)
from tests.chaos.video.invariants.files import artifacts_are_their_own
from tests.chaos.video.invariants.money import billed_at_most_expected
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.chaos.video.target import VIDEO
from workflows.ledger import Ledger
from workflows.models import CHARACTER, Artifact, video_step
from workflows.models import Item as PaidItem
from workflows.paid_calls import Granted, PaidCall, Purchase, State, Terms

ASKED = specs.single("asked")
DATA = Path(__file__).parents[3] / "data"
SENT_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SETTLED_AT = SENT_AT + timedelta(seconds=2)
IMAGE = Artifact(path="asked/character.png", sha256="a" * 64, size_bytes=1)
VIDEO = Artifact(path="asked/video-001.mp4", sha256="b" * 64, size_bytes=1)
LIVE = VIDEO.billing.model_copy(update={"mode": Mode.LIVE})

SCENARIOS = {scenario.name: in_mode(scenario, Mode.LIVE) for scenario in all_scenarios()}
(CRASH,) = SCENARIOS["worker_crash"].cases
IN_FLIGHT, _ = CRASH.proofs

_CALLS = TypeAdapter(tuple[PaidCall, ...])


def _image(state: State, **fields: object) -> PaidCall:
    known = state in {State.DONE, State.LATE}
    call = PaidCall(
        operation_id=ASKED.workflow_id,
        step=CHARACTER,
        number=1,
        item=PaidItem.IMAGE,
        model="an-image-model",
        cost_usd=Decimal("0.039"),
        state=state,
        sent_at=SENT_AT,
        deadline_at=SENT_AT + timedelta(seconds=90),
        settled_at=None if state is State.INTENT else SETTLED_AT,
        artifact=IMAGE if known else None,
    )
    return call.model_copy(update=fields)


def _video(state: State, **fields: object) -> PaidCall:
    video = {
        "step": video_step(1),
        "item": PaidItem.VIDEO,
        "model": "a-video-model",
        "cost_usd": Decimal("1.20"),
        "provider_operation": "operations/1",
        "artifact": VIDEO,
    }
    return _image(state, **video, **fields)


def _written(folder: Path, *calls: PaidCall) -> Sequence[Record]:
    (folder / PAID_CALLS).write_bytes(_CALLS.dump_json(calls))
    save_live_ledger(folder, [ASKED])
    return read_ledger(folder / "ledger.jsonl")


@pytest.mark.parametrize("make", [_image, _video])
@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        (State.INTENT, [Received, Billed]),
        (State.DONE, [Received, Billed, Answered]),
        (State.REFUSED, [Received, Answered]),
        (State.AMBIGUOUS, [Received, Billed, Answered]),
        (State.LATE, [Received, Billed, Answered]),
    ],
)
def test_what_may_be_billed_is_and_what_is_not_settled_has_no_answer(
    make: Callable[[State], PaidCall], state: State, kinds: list[type[Record]], tmp_path: Path
) -> None:
    written = _written(tmp_path, make(state))

    assert [type(record) for record in written] == kinds
    assert {record.request_id for record in written} == {f"asked/{make(state).step}/1"}


def test_a_call_in_doubt_was_answered_to_nobody(tmp_path: Path) -> None:
    *_, answer = _written(tmp_path, _image(State.AMBIGUOUS))

    assert isinstance(answer, Answered)
    assert (answer.kind, answer.client_connected, answer.at) == ("ambiguous", False, SETTLED_AT)


@pytest.mark.parametrize(
    ("state", "kind"), [(State.DONE, "ok"), (State.LATE, "ok"), (State.REFUSED, "refused")]
)
def test_an_answer_tells_what_came_and_when(state: State, kind: str, tmp_path: Path) -> None:
    *_, answer = _written(tmp_path, _image(state))

    assert isinstance(answer, Answered)
    assert (answer.kind, answer.at, answer.client_connected) == (kind, SETTLED_AT, True)


def test_a_video_is_billed_when_it_was_sent_and_at_what_it_may_have_cost(tmp_path: Path) -> None:
    _, bill, _ = _written(tmp_path, _video(State.DONE))

    assert bill == Billed(
        at=SENT_AT,
        request_id="asked/video-001/1",
        item=Item.VIDEO,
        model="a-video-model",
        prompt="the hero of asked waves",
        amount_usd=Decimal("1.20"),
        sha256=VIDEO.sha256,
        operation="operations/1",
    )


def test_a_video_is_started_from_the_workflows_character(tmp_path: Path) -> None:
    written = _written(tmp_path, _image(State.DONE), _video(State.INTENT))
    images = {r.call: r.image_sha256 for r in written if isinstance(r, Received)}

    assert images == {Call.IMAGE: None, Call.VIDEO_START: IMAGE.sha256}


@pytest.mark.parametrize("second", [State.LATE, State.REFUSED])
def test_a_reply_that_came_too_late_is_not_the_character(second: State, tmp_path: Path) -> None:
    other = Artifact(path="asked/character.2.png", sha256="c" * 64, size_bytes=1)
    written = _written(
        tmp_path,
        _image(State.DONE),
        _image(second, number=2, artifact=other if second is State.LATE else None),
        _video(State.DONE),
    )

    assert [r.image_sha256 for r in written if isinstance(r, Received)] == [
        None,
        None,
        IMAGE.sha256,
    ]


def test_a_late_reply_is_the_character_where_no_other_is_left(tmp_path: Path) -> None:
    written = _written(tmp_path, _image(State.LATE), _video(State.DONE))
    *_, started = (record for record in written if isinstance(record, Received))

    assert started.image_sha256 == IMAGE.sha256


def test_nothing_paid_leaves_an_empty_ledger(tmp_path: Path) -> None:
    assert _written(tmp_path) == ()
    assert (tmp_path / "ledger.jsonl").exists()


def test_only_the_calls_of_the_cases_own_workflows_are_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'paid.db'}"
    ledger = Ledger.open(url, grace_seconds=1)
    for operation_id in ("asked", "of-another-case"):
        purchase = Purchase(operation_id, CHARACTER, PaidItem.IMAGE, "a-model", Decimal(1), 60)
        assert isinstance(ledger.reserve(purchase, Terms(ambiguous_allowed=0)), Granted)
    ledger.close()
    save_paid_calls(url, tmp_path, [ASKED.workflow_id])
    save_live_ledger(tmp_path, [ASKED])

    assert {r.request_id for r in read_ledger(tmp_path / "ledger.jsonl")} == {"asked/character/1"}


@pytest.fixture
def live(request: pytest.FixtureRequest, tmp_path: Path) -> Evidence:
    """The kept evidence of a scenario as if its provider had been a real one."""
    kept: Evidence = request.getfixturevalue(getattr(request, "param", "worker_crash"))
    folder = tmp_path / "case"
    shutil.copytree(kept.folder, folder)
    save_billing(folder, LIVE)
    save_live_ledger(folder, kept.specs)
    return Evidence.load(folder)


def _changed(evidence: Evidence, *calls: PaidCall) -> Evidence:
    (evidence.folder / PAID_CALLS).write_bytes(_CALLS.dump_json(calls))
    save_live_ledger(evidence.folder, evidence.specs)
    return Evidence.load(evidence.folder)


@pytest.mark.parametrize(
    ("live", "name"),
    [(n, n) for n in ("worker_crash", "server_restart", "checkpoint", "concurrency")],
    indirect=["live"],
)
def test_every_proof_and_invariant_holds_on_what_is_written(live: Evidence, name: str) -> None:
    findings = judge(SCENARIOS[name].cases[0], live)

    assert live.live
    assert verdict_of(findings) is Verdict.PASSED, reason_of(findings)


@pytest.mark.parametrize("check", [IN_FLIGHT, billed_at_most_expected], ids=lambda c: c.name)
def test_a_call_whose_outcome_is_unknown_was_in_flight_and_counts_as_billed(
    check: Invariant, live: Evidence
) -> None:
    in_doubt, *_ = live.paid_calls

    assert in_doubt.state is State.AMBIGUOUS
    assert check.examine(live).problems == ()
    assert live.billed[0].request_id == "crash-single/character/1"


@pytest.mark.parametrize("state", [State.REFUSED, State.LATE])
def test_a_call_with_an_answer_was_not_in_flight(state: State, live: Evidence) -> None:
    first, *rest = live.paid_calls
    answered = first.model_copy(update={"state": state, "settled_at": first.sent_at})

    assert IN_FLIGHT.examine(_changed(live, answered, *rest)).verdict is Verdict.UNKNOWN


def test_a_call_in_doubt_too_many_fails(live: Evidence) -> None:
    first, *rest = live.paid_calls
    more = _changed(live, first, *rest, first.model_copy(update={"number": 3}))

    assert billed_at_most_expected.examine(more).verdict is Verdict.FAILED


def test_a_character_that_came_twice_is_no_foreign_one(live: Evidence) -> None:
    first, second, video = live.paid_calls
    other = IMAGE.model_copy(update={"path": "crash-single/character.3.png"})
    late = first.model_copy(update={"number": 3, "state": State.LATE, "artifact": other})

    changed = _changed(live, first, second, late, video)

    assert artifacts_are_their_own.examine(changed).problems == ()


def test_mode_and_prices_are_kept_to_the_cent(tmp_path: Path) -> None:
    billing = Billing(
        mode=Mode.LIVE, prices_usd={Item.IMAGE: Decimal("0.067"), Item.VIDEO: Decimal("0.40")}
    )
    save_specs(tmp_path, [ASKED])
    save_billing(tmp_path, billing)
    evidence = Evidence.load(tmp_path)

    assert (evidence.billing, evidence.live) == (billing, True)
    assert evidence.ideal_cost_usd(ASKED) == Decimal("0.467")
    assert '"0.40"' in (tmp_path / BILLING).read_text()


def test_a_folder_that_does_not_tell_is_at_the_reference_prices(tmp_path: Path) -> None:
    save_specs(tmp_path, [ASKED])
    evidence = Evidence.load(tmp_path)

    assert (evidence.billing, evidence.live) == (VIDEO.billing, False)
    assert evidence.ideal_cost_usd(ASKED) == Decimal("1.239")


def test_workflows_are_read_in_the_same_order_everywhere(concurrency: Evidence) -> None:
    assert list(concurrency.workflows) == [f"load-{number:03}" for number in range(1, 6)]


def test_each_links_journal_is_found_under_its_links_name(
    concurrency: Evidence, tmp_path: Path
) -> None:
    shutil.copytree(concurrency.folder, tmp_path / "case")
    journals = tmp_path / "case" / "network"
    journals.mkdir()
    source = Path(__file__).parents[3] / "data" / "network" / "black_hole.jsonl"
    shutil.copy(source, journals / "worker-1-to-server.jsonl")
    (journals / "fleet-1-to-api.jsonl").touch()

    found = Evidence.load(tmp_path / "case").network

    assert list(found) == ["fleet-1>api", "worker-1>server"]
    assert [len(records) for records in found.values()] == [0, 8]
    assert concurrency.network == {}


class _Server:
    """It has the histories of a workflow and of what that started."""

    def __init__(self, *runs: WorkflowHistory) -> None:
        self._runs = {str(_started(run).original_execution_run_id): run for run in runs}
        self._latest = {run.workflow_id: run for run in runs}

    def get_workflow_handle(self, workflow_id: str, run_id: str | None = None) -> _Handle:
        return _Handle(self._runs[run_id] if run_id else self._latest[workflow_id])


@dataclass(frozen=True)
class _Handle:
    run: WorkflowHistory

    async def fetch_history(self) -> WorkflowHistory:
        return self.run


def _started(run: WorkflowHistory) -> WorkflowExecutionStartedEventAttributes:
    return run.events[0].workflow_execution_started_event_attributes


async def test_what_a_workflow_started_itself_is_fetched_as_well(tmp_path: Path) -> None:
    case = DATA / "false_passes" / "worker_dies_with_a_child"
    saved = Evidence.load(case)
    (child,) = saved.children
    server = _Server(*saved.workflows["parent"].runs, *child.runs)

    await save_histories(cast("Client", server), tmp_path, ["parent"])

    (file,) = (tmp_path / "children").iterdir()
    assert file.name == next((case / "children").iterdir()).name
    assert child.workflow_id not in file.name
    assert [activity.kind for activity in child.activities] == ["slow"]
    assert [workflow.workflow_id for workflow in saved.all_workflows] == [
        "parent",
        child.workflow_id,
    ]
