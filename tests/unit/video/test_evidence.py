"""Evidence of the video system: recorded, and of a live case, whose provider shows no bills."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from chaos.evidence.bills import Billing, Mode
from chaos.evidence.case import BILLING, BOOKS, Evidence, save_billing, save_book
from chaos.evidence.spec import save_specs
from chaos.experiment.cost import possible_waste_usd
from chaos.experiment.judge import judge, reason_of, verdict_of
from chaos.experiment.scenario import in_mode
from chaos.invariants import Invariant
from chaos.invariants.money import billed_at_most_expected
from chaos.invariants.verdict import Verdict
from tests.chaos.video import specs
from tests.chaos.video.evidence import (
    PAID_CALLS,
    VideoEvidence,
    bills,
    save_live_bills,
    save_paid_calls,
)
from tests.chaos.video.fake_api.bills import (
    Answered,
    Billed,
    Call,
    Item,
    Received,
    Record,
    read_bills,
    to_line,
)
from tests.chaos.video.invariants.files import artifacts_are_their_own
from tests.chaos.video.scenarios.catalogue import all_scenarios
from tests.chaos.video.target import VIDEO
from tests.unit.kept import EVIDENCE, kept, load
from workflows.models import CHARACTER, Artifact, video_step
from workflows.models import Item as PaidItem
from workflows.payments.calls import Granted, Limits, PaidCall, PaidRequest, State
from workflows.payments.journal import PaymentJournal

ASKED = specs.single("asked")
SENT_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SETTLED_AT = SENT_AT + timedelta(seconds=2)
IMAGE = Artifact(path="asked/character.png", sha256="a" * 64, size_bytes=1)
CLIP = Artifact(path="asked/video-001.mp4", sha256="b" * 64, size_bytes=1)
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
        "artifact": CLIP,
    }
    return _image(state, **video, **fields)


def _written(folder: Path, *calls: PaidCall) -> Sequence[Record]:
    (folder / PAID_CALLS).write_bytes(_CALLS.dump_json(calls))
    save_live_bills(folder, [ASKED])
    return read_bills(folder / "ledger.jsonl")


@pytest.mark.parametrize("make", [_image, _video])
@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        (State.INTENT, [Received, Billed]),
        (State.DONE, [Received, Billed, Answered]),
        (State.REFUSED, [Received, Answered]),
        (State.IN_DOUBT, [Received, Billed, Answered]),
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
    *_, answer = _written(tmp_path, _image(State.IN_DOUBT))

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
        sha256=CLIP.sha256,
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


def test_nothing_paid_leaves_an_empty_file_of_bills(tmp_path: Path) -> None:
    assert _written(tmp_path) == ()
    assert (tmp_path / "ledger.jsonl").exists()


def test_only_the_calls_of_the_cases_own_workflows_are_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'paid.db'}"
    journal = PaymentJournal.open(url, grace_seconds=1)
    for operation_id in ("asked", "of-another-case"):
        paid = PaidRequest(operation_id, CHARACTER, PaidItem.IMAGE, "a-model", Decimal(1), 60)
        assert isinstance(journal.reserve(paid, Limits(in_doubt_allowed=0)), Granted)
    journal.close()
    save_paid_calls(url, tmp_path, [ASKED.workflow_id])
    save_live_bills(tmp_path, [ASKED])

    assert {r.request_id for r in read_bills(tmp_path / "ledger.jsonl")} == {"asked/character/1"}


@pytest.fixture
def live(request: pytest.FixtureRequest, tmp_path: Path) -> VideoEvidence:
    """The kept evidence of a scenario as if its provider had been a real one."""
    recorded: VideoEvidence = request.getfixturevalue(getattr(request, "param", "worker_crash"))
    folder = tmp_path / "case"
    shutil.copytree(recorded.folder, folder)
    save_billing(folder, LIVE)
    save_live_bills(folder, recorded.specs)
    return load(folder)


def _changed(evidence: VideoEvidence, *calls: PaidCall) -> VideoEvidence:
    (evidence.folder / PAID_CALLS).write_bytes(_CALLS.dump_json(calls))
    save_live_bills(evidence.folder, evidence.specs)
    return load(evidence.folder)


@pytest.mark.parametrize(
    ("live", "name"),
    [(n, n) for n in ("worker_crash", "server_restart", "checkpoint", "concurrency")],
    indirect=["live"],
)
def test_every_proof_and_invariant_holds_on_what_is_written(live: VideoEvidence, name: str) -> None:
    findings = judge(SCENARIOS[name].cases[0], live)

    assert live.live
    assert verdict_of(findings) is Verdict.PASSED, reason_of(findings)


@pytest.mark.parametrize("check", [IN_FLIGHT, billed_at_most_expected], ids=lambda c: c.name)
def test_a_call_whose_outcome_is_unknown_was_in_flight_and_counts_as_billed(
    check: Invariant, live: VideoEvidence
) -> None:
    in_doubt, *_ = live.paid_calls

    assert in_doubt.state is State.IN_DOUBT
    assert check.examine(live).problems == ()
    assert live.billed[0].request_id == "crash-single/character/1"


@pytest.mark.parametrize("state", [State.REFUSED, State.LATE])
def test_a_call_with_an_answer_was_not_in_flight(state: State, live: VideoEvidence) -> None:
    first, *rest = live.paid_calls
    answered = first.model_copy(update={"state": state, "settled_at": first.sent_at})

    assert IN_FLIGHT.examine(_changed(live, answered, *rest)).verdict is Verdict.UNKNOWN


def test_a_call_in_doubt_too_many_fails(live: VideoEvidence) -> None:
    first, *rest = live.paid_calls
    more = _changed(live, first, *rest, first.model_copy(update={"number": 3}))

    assert billed_at_most_expected.examine(more).verdict is Verdict.FAILED


def test_a_character_that_came_twice_is_no_foreign_one(live: VideoEvidence) -> None:
    first, second, video = live.paid_calls
    other = IMAGE.model_copy(update={"path": "crash-single/character.3.png"})
    late = first.model_copy(update={"number": 3, "state": State.LATE, "artifact": other})

    changed = _changed(live, first, second, late, video)

    assert artifacts_are_their_own.examine(changed).problems == ()


async def test_mode_and_prices_are_kept_to_the_cent(tmp_path: Path) -> None:
    billing = Billing(
        mode=Mode.LIVE, prices_usd={Item.IMAGE: Decimal("0.067"), Item.VIDEO: Decimal("0.40")}
    )
    await save_specs(tmp_path, [ASKED], VIDEO.data_converter)
    save_billing(tmp_path, billing)
    evidence = load(tmp_path)

    assert (evidence.billing, evidence.live) == (billing, True)
    assert evidence.cost_usd(ASKED) == Decimal("0.467")
    assert '"0.40"' in (tmp_path / BILLING).read_text()


async def test_a_folder_that_does_not_tell_is_at_the_reference_prices(tmp_path: Path) -> None:
    await save_specs(tmp_path, [ASKED], VIDEO.data_converter)
    evidence = load(tmp_path)

    assert (evidence.billing, evidence.live) == (VIDEO.billing, False)
    assert evidence.cost_usd(ASKED) == Decimal("1.239")


RECORDED = {
    "checkpoint/sigkill_after_video_1": (4, "3.639", {"done": 4}),
    "concurrency/one_worker": (10, "6.195", {"done": 10}),
    "database_damage/gone": (2, "1.239", {"done": 2}),
    "disk_full/artifacts": (4, "2.478", {"done": 4}),
    "disk_full/ledger": (4, "2.478", {"done": 4}),
    "retry_config/policy_and_behaviour": (5, "3.678", {"done": 5, "refused": 6}),
    "seeded/seed_4": (15, "11.034", {"done": 14, "ambiguous": 1}),
    "server_pause/twice_in_a_row": (2, "1.239", {"done": 2}),
    "server_pause/under_load": (10, "6.195", {"done": 10}),
    "server_restart/control_in_memory": (2, "1.239", {"done": 2}),
    "server_restart/each_role": (8, "8.439", {"done": 8}),
    "server_restart/sigkill": (2, "1.239", {"done": 2}),
    "worker_crash/sigkill_twice": (3, "1.278", {"ambiguous": 1, "done": 2}),
}
"""How many bills each has, their sum, and how many requests of each state: as the release read it
that recorded them.
"""


def _lines(file: Path, event: str) -> list[dict[str, Any]]:
    """The raw records in a file of bills, without any of our own reading."""
    found = map(json.loads, file.read_text().splitlines())
    return [record for record in found if record["event"] == event]


def test_no_recorded_run_is_left_out() -> None:
    found = {f"{f.parent.parent.name}/{f.parent.name}" for f in EVIDENCE.glob("*/*/journal.jsonl")}

    assert found == set(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_a_run_of_an_older_version_is_read_as_it_was_written(name: str) -> None:
    evidence = kept(*name.split("/"))
    count, usd, states = RECORDED[name]
    written = _lines(evidence.folder / "ledger.jsonl", "billed")
    refused = [
        datetime.fromisoformat(record["at"])
        for record in _lines(evidence.folder / "ledger.jsonl", "answered")
        if record["kind"] != "ok"
    ]
    calls = json.loads((evidence.folder / PAID_CALLS).read_text())

    assert [(b.item, b.key, b.amount_usd) for b in evidence.bills] == [
        (record["item"], record["prompt"], Decimal(record["amount_usd"])) for record in written
    ]
    assert len(evidence.bills) == count
    assert sum(bill.amount_usd for bill in evidence.bills) == Decimal(usd)
    assert [
        (r.operation_id, r.step, r.number, r.state, str(r.cost_usd)) for r in evidence.paid_requests
    ] == [(c["operation_id"], c["step"], c["number"], c["state"], c["cost_usd"]) for c in calls]
    assert Counter(r.state for r in evidence.paid_requests) == states
    assert {r.state for r in evidence.in_doubt} == {"ambiguous"} & states.keys()
    prompts = {spec.workflow_id: spec.prompts for spec in evidence.specs}
    assert all(r.key in prompts[r.operation_id] for r in evidence.paid_requests)
    assert [refusal.at for refusal in evidence.refusals] == refused
    assert bool(refused) is (name == "retry_config/policy_and_behaviour")


def test_a_refusal_names_the_service_the_workflow_and_what_was_answered(
    retry_config: VideoEvidence,
) -> None:
    assert Counter((r.service, r.workflow_id, r.text) for r in retry_config.refusals) == {
        ("api", "retry-recovers", "answer to image: status (HTTP 503)"): 2,
        ("api", "retry-outlasts", "answer to video_start: status (HTTP 503)"): 3,
        ("api", "retry-refused", "answer to image: invalid_key (HTTP 400)"): 1,
    }


@pytest.mark.parametrize("field", ["operation", "file"])
def test_a_refused_request_without_a_prompt_is_that_of_its_video(
    field: str, checkpoint: VideoEvidence, tmp_path: Path
) -> None:
    """A poll names the operation, a download the file."""
    shutil.copytree(checkpoint.folder, tmp_path / "case")
    bills_file = tmp_path / "case" / "ledger.jsonl"
    request = next(r for r in checkpoint.received if getattr(r, field))
    answer = checkpoint.answers[request.request_id]
    refused = answer.model_copy(update={"kind": "status", "status": 503})
    changed = [refused if record is answer else record for record in checkpoint.records]
    bills_file.write_bytes(b"".join(map(to_line, changed)))

    (refusal,) = load(tmp_path / "case").refusals

    assert refusal.workflow_id == "checkpoint-series"
    assert refusal.at == answer.at


def test_the_fake_api_has_one_name_in_old_journals_and_new_ones(
    retry_config: VideoEvidence,
) -> None:
    raw = (retry_config.folder / "journal.jsonl").read_text()

    assert '"fake-api"' in raw
    targets = {entry.target for entry in retry_config.journal}
    assert "api" in targets
    assert "fake-api" not in targets


def test_what_the_target_says_of_itself_stands_in_no_older_evidence(
    worker_crash: VideoEvidence,
) -> None:
    assert not (worker_crash.folder / "timings.json").exists()
    assert worker_crash.timings == VIDEO.timings


def test_bills_that_are_saved_are_read_without_the_target(
    worker_crash: VideoEvidence, tmp_path: Path
) -> None:
    """As a report does, which knows no target."""
    shutil.copytree(worker_crash.folder, tmp_path / "case")
    for book in BOOKS:
        save_book(tmp_path / "case", VIDEO.reading, book)

    anybodys = Evidence.load(tmp_path / "case")

    assert anybodys.bills == worker_crash.bills
    assert anybodys.paid_requests == worker_crash.paid_requests
    assert anybodys.refusals == worker_crash.refusals


@pytest.mark.parametrize(
    ("state", "in_doubt"),
    [
        (State.INTENT, True),
        (State.DONE, False),
        (State.REFUSED, False),
        (State.IN_DOUBT, True),
        (State.LATE, True),
    ],
)
def test_a_request_is_in_doubt_where_nobody_has_a_use_of_what_it_may_have_cost(
    state: State, in_doubt: bool, worker_crash: VideoEvidence, tmp_path: Path
) -> None:
    shutil.copytree(worker_crash.folder, tmp_path / "case")
    call = _image(state, operation_id="crash-single")
    (tmp_path / "case" / PAID_CALLS).write_bytes(_CALLS.dump_json((call,)))

    evidence = load(tmp_path / "case")

    assert [(r.state, r.in_doubt) for r in evidence.paid_requests] == [(str(state), in_doubt)]
    assert possible_waste_usd(evidence.in_doubt) == (Decimal("0.039") if in_doubt else 0)


def test_bills_are_read_while_their_file_grows_and_only_whole_lines(
    worker_crash: VideoEvidence, tmp_path: Path
) -> None:
    whole = (worker_crash.folder / "ledger.jsonl").read_bytes()

    for end in range(0, len(whole) + 1, 97):
        (tmp_path / "ledger.jsonl").write_bytes(whole[:end])
        lines = whole[:end].split(b"\n")[:-1]
        billed = sum(json.loads(line)["event"] == "billed" for line in lines)
        assert list(bills(tmp_path)) == list(worker_crash.bills)[:billed]
    assert list(bills(tmp_path / "nowhere")) == []
