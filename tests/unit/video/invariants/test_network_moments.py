"""Real evidence, beside which a proxy's journal is written as it might have been."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from chaos.evidence.journal import Event
from chaos.invariants import Invariant
from chaos.invariants.verdict import Verdict
from chaos.network.journal import Hit, PutOn, RecordFile, TakenOff
from chaos.network.toxics import Down, Stream
from tests.chaos.video.evidence import VideoEvidence
from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.invariants.network import (
    awaited_when_hit,
    bad_throughout,
    in_flight_when_hit,
    nothing_is_in_doubt,
)
from tests.chaos.video.scenarios.network_api import refused_before_sent, was_in_doubt
from workflows.payments.calls import State

LINK = "worker-1>server"
Span = tuple[datetime, datetime | None]
SECOND = timedelta(seconds=1)
MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def bad(tmp_path: Path) -> Callable[..., VideoEvidence]:
    """The evidence with a link that was down in these spans."""

    def add(evidence: VideoEvidence, spans: Sequence[Span], *, hit: bool = True) -> VideoEvidence:
        folder = tmp_path / "case"
        shutil.copytree(evidence.folder, folder)
        (folder / "network").mkdir()
        journal = RecordFile(folder / "network" / "worker-1-to-server.jsonl", "", pytest.fail)
        for on, off in spans:
            journal.add(PutOn(at=on, name="down", toxic=Down(), connections=(1,)))
            if hit:
                journal.add(Hit(at=on, name="down", connection=1, stream=Stream.UPSTREAM))
            if off:
                journal.add(TakenOff(at=off, name="down"))
        journal.close()
        return replace(evidence, folder=folder)

    return add


Bad = Callable[..., VideoEvidence]


def verdict(check: Invariant, evidence: VideoEvidence) -> Verdict:
    return check.examine(evidence).verdict


@pytest.mark.parametrize(
    ("begins", "ends", "found"),
    [
        (-SECOND, SECOND, "passed"),
        (-SECOND, None, "passed"),
        (MOMENT, -MOMENT, "unknown"),
        (-MOMENT, -MOMENT, "unknown"),
    ],
    ids=["longer than it", "for ever", "a part", "not its end"],
)
def test_a_link_is_bad_throughout_from_before_a_workflow_until_after_it(
    server_restart: VideoEvidence,
    bad: Bad,
    begins: timedelta,
    ends: timedelta | None,
    found: str,
) -> None:
    workflow = server_restart.workflows["restart-single"]
    assert workflow.closed_at
    off = workflow.closed_at + ends if ends else None
    evidence = bad(server_restart, [(workflow.started_at + begins, off)])
    check = bad_throughout(LINK, "down", "restart-single")

    assert verdict(check, evidence) == found
    assert verdict(bad_throughout(LINK, "latency", "restart-single"), evidence) == "unknown"
    assert verdict(check, server_restart) == "unknown"  # without a journal


class TestAwaitedWhenHit:
    def check(self, evidence: VideoEvidence, times: int = 1) -> Invariant:
        (spec,) = evidence.specs
        return awaited_when_hit(LINK, "down", spec.workflow_id, spec.video_prompts[0], times)

    def moment(self, evidence: VideoEvidence) -> datetime:
        found = evidence.first_entry(Event.SIGNALED)
        assert found
        return found.at

    def test_while_it_was_polled(self, server_restart: VideoEvidence, bad: Bad) -> None:
        at = self.moment(server_restart)
        assert verdict(self.check(server_restart), bad(server_restart, [(at, None)])) == "passed"

    def test_as_often_as_planned(self, server_restart: VideoEvidence, bad: Bad) -> None:
        at = self.moment(server_restart)
        evidence = bad(server_restart, [(at, at + MOMENT), (at + 2 * MOMENT, None)])
        assert verdict(self.check(evidence, 2), evidence) == "passed"
        assert verdict(self.check(evidence, 3), evidence) == "unknown"

    def test_not_without_an_effect(self, server_restart: VideoEvidence, bad: Bad) -> None:
        at = self.moment(server_restart)
        evidence = bad(server_restart, [(at, None)], hit=False)
        assert verdict(self.check(evidence), evidence) == "unknown"

    def test_not_before_the_first_poll_or_after_the_end(
        self, server_restart: VideoEvidence, bad: Bad
    ) -> None:
        polls = [r.at for r in server_restart.received if r.call is Call.POLL]
        end = server_restart.workflows["restart-single"].closed_at
        assert end
        evidence = bad(server_restart, [(polls[0] - MOMENT, None), (end, None)])
        assert verdict(self.check(evidence), evidence) == "unknown"


class TestInFlightWhenHit:
    def test_a_request_without_an_answer(self, worker_crash: VideoEvidence, bad: Bad) -> None:
        killed = worker_crash.first_entry(Event.SIGNALED)
        assert killed
        prompt = worker_crash.specs[0].character_prompt
        check = in_flight_when_hit(LINK, "down", Call.IMAGE, prompt)
        assert verdict(check, bad(worker_crash, [(killed.at, None)])) == "passed"

    @pytest.mark.parametrize("call", [Call.IMAGE, Call.VIDEO_START, Call.DOWNLOAD])
    def test_not_when_all_is_answered(
        self, worker_crash: VideoEvidence, bad: Bad, call: Call
    ) -> None:
        end = worker_crash.records[-1].at
        spec = worker_crash.specs[0]
        prompt = spec.character_prompt if call is Call.IMAGE else spec.video_prompts[0]
        check = in_flight_when_hit(LINK, "down", call, prompt)
        assert verdict(check, bad(worker_crash, [(end + SECOND, None)])) == "unknown"

    def test_not_another_request(self, worker_crash: VideoEvidence, bad: Bad) -> None:
        killed = worker_crash.first_entry(Event.SIGNALED)
        assert killed
        prompt = worker_crash.specs[0].video_prompts[0]
        check = in_flight_when_hit(LINK, "down", Call.DOWNLOAD, prompt)
        assert verdict(check, bad(worker_crash, [(killed.at, None)])) == "unknown"


class TestRefusedBeforeSent:
    def test_a_call_of_which_nothing_came(self, server_restart: VideoEvidence, bad: Bad) -> None:
        (spec,) = server_restart.specs
        image = spec.character_prompt
        (call,) = server_restart.calls_for(spec, image)
        check = refused_before_sent(LINK, "down", spec.workflow_id, image)
        spans = [(call.sent_at - MOMENT, call.sent_at + SECOND)]
        came = bad(server_restart, spans)
        later = [
            r.model_copy(update={"at": r.at + 2 * SECOND}) if r.request_id else r
            for r in came.records
        ]

        assert verdict(check, came) == "unknown"
        assert verdict(check, replace(came, records=later)) == "passed"
        assert verdict(check, replace(came, records=later, paid_calls=())) == "unknown"


class TestDoubts:
    def test_a_call_in_doubt(
        self, worker_crash: VideoEvidence, server_restart: VideoEvidence
    ) -> None:
        assert verdict(nothing_is_in_doubt("crash-single"), worker_crash) == "failed"
        assert verdict(nothing_is_in_doubt("restart-single"), server_restart) == "passed"

    def test_one_in_doubt_and_one_done(self, worker_crash: VideoEvidence) -> None:
        spec = worker_crash.specs[0]
        check = was_in_doubt(spec.workflow_id, spec.character_prompt)
        hidden = [
            call.model_copy(update={"state": State.REFUSED}) if call.number == 1 else call
            for call in worker_crash.paid_calls
        ]

        assert verdict(check, worker_crash) == "passed"
        assert verdict(check, replace(worker_crash, paid_calls=hidden)) == "failed"
        assert verdict(check, replace(worker_crash, paid_calls=())) == "failed"
