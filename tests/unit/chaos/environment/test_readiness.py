from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chaos.environment.readiness import (
    SETTLING_SECONDS,
    Arrival,
    LogLine,
    Poller,
    Polls,
    Whose,
    claim,
    is_connected,
    noted,
    port_of,
    whose,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
BOTH = ("workflow", "activity")


def _poller(
    kind: str = "workflow",
    identity: str = "1@here",
    *,
    queue: str = "orders",
    version: str = "",
    seconds: float = 0,
) -> Poller:
    return Poller(queue, kind, identity, version, NOW + timedelta(seconds=seconds))


def _arrival(
    before: Sequence[Poller] = (), *, others: Sequence[str] = (), own: Sequence[str] = ()
) -> Arrival:
    def whose(identity: str) -> Whose:
        if identity in own:
            return Whose.OWN
        return Whose.ANOTHERS if identity in others else Whose.UNKNOWN

    return Arrival(dict(noted(before)), whose, is_connected=lambda: True)


def _is_ready(arrival: Arrival, polls: Polls, *looks: tuple[float, Sequence[Poller]]) -> bool:
    settled = [arrival.look(pollers, at) for at, pollers in looks][-1]
    return polls.are_met(arrival.counting(), ["orders", *polls.queues], settled=settled)


def test_who_polls_for_both_kinds_is_ready_at_once() -> None:
    assert _is_ready(_arrival(), Polls(), (0, [_poller("workflow"), _poller("activity")]))


def test_nobody_polls_before_it_does() -> None:
    assert not _is_ready(_arrival(), Polls(), (0, []), (60, []))


@pytest.mark.parametrize("kind", BOTH)
def test_who_polls_for_one_kind_is_ready_when_the_other_does_not_follow(kind: str) -> None:
    one = [_poller(kind)]

    assert not _is_ready(_arrival(), Polls(), (0, []), (5, one), (5.9, one))
    assert _is_ready(_arrival(), Polls(), (0, []), (5, one), (5 + SETTLING_SECONDS, one))


@pytest.mark.parametrize("kind", BOTH)
def test_who_says_that_it_polls_for_one_kind_is_not_waited_for(kind: str) -> None:
    assert _is_ready(_arrival(), Polls([kind]), (0, [_poller(kind)]))


def test_who_says_that_it_polls_for_both_is_waited_for() -> None:
    one = [_poller("workflow")]

    assert not _is_ready(_arrival(), Polls(BOTH), (0, one), (60, one))


def test_all_queues_must_be_polled() -> None:
    polls = Polls(["activity"], queues=["letters"])
    one = _poller("activity")

    assert not _is_ready(_arrival(), polls, (0, [one]), (60, [one]))
    assert _is_ready(_arrival(), polls, (0, [one, _poller("activity", queue="letters")]))


@pytest.mark.parametrize("kinds", ["workflow", ["workflows"]])
def test_kinds_that_there_are_not_are_refused(kinds: str | list[str]) -> None:
    with pytest.raises(ValueError, match="must be a list of 'workflow' and 'activity'"):
        Polls(kinds)


def test_any_identity_and_version_counts_that_was_not_there_before() -> None:
    old = _poller(identity="shop", version="shop:1")
    new = _poller(identity="shop", version="shop:2")
    arrival = _arrival([old])

    arrival.look([old, new], 0)

    assert arrival.counting() == [new]


def test_who_was_there_before_counts_when_it_polls_again_from_a_connected_process() -> None:
    before, again = _poller(identity="shop"), _poller(identity="shop", seconds=1)
    arrival = _arrival([before])

    assert arrival.why_not(before) == "existed before the start, and has not polled since"
    assert arrival.why_not(again) is None
    arrival.is_connected = lambda: False  # so it was the last poll of one that was killed
    assert (
        arrival.why_not(again)
        == "existed before the start, and the worker has no connection to the server"
    )


def test_where_the_server_was_silent_only_a_later_poll_counts() -> None:
    arrival = _arrival(own=["7@here"])
    arrival.unseen_until = NOW

    assert arrival.why_not(_poller(identity="shop"))  # of one that was killed before, perhaps
    assert arrival.why_not(_poller(identity="shop", seconds=1)) is None
    assert arrival.why_not(_poller(identity="7@here")) is None
    arrival.is_connected = lambda: False
    assert arrival.why_not(_poller(identity="shop", seconds=1))


def test_other_processes_of_this_machine_never_count() -> None:
    arrival = _arrival(others=["7@here"])

    assert arrival.why_not(_poller(identity="7@here")) == "is another process"


def test_of_two_that_start_at_once_each_has_a_poller_of_its_own() -> None:
    first, second = _arrival(), _arrival()
    pollers = [_poller(identity="a")]
    first.look(pollers, 0)

    claim(first.counting(), [second])
    second.look(pollers, 0)
    assert second.counting() == []

    second.look([*pollers, _poller(identity="b")], 0)
    assert [poller.identity for poller in second.counting()] == ["b"]


def test_its_identity_is_known_where_it_cannot_be_anothers() -> None:
    arrival = _arrival(own=["1@here"])
    arrival.look([_poller(identity="1@here"), _poller(identity="shop")], 0)

    assert list(arrival.identities) == ["1@here", "shop"]
    arrival.is_alone = False
    assert list(arrival.identities) == ["1@here"]


def test_the_reasons_name_the_pollers_that_are_there() -> None:
    before = _poller(identity="shop", version="shop:1")
    arrival = _arrival([before])

    assert arrival.reasons(Polls(), ["orders"]) == (
        "It must poll orders for workflow or activity tasks; no worker polls there."
    )
    arrival.look([before, _poller("activity", "9@there")], 0)
    assert arrival.reasons(Polls(BOTH), ["orders", "letters"]) == (
        "It must poll orders and letters for workflow and activity tasks; "
        "shop of version shop:1 (workflow tasks of orders) existed before the start, and has "
        "not polled since; 9@there (activity tasks of orders) counts."
    )


def test_the_sdks_own_identity_tells_whose_it_is() -> None:
    here = socket.gethostname()
    sleeper = "import time; time.sleep(60)"
    argv = ["sh", "-c", f"{sys.executable} -c '{sleeper}' & echo $!; wait"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as leader:
        try:
            assert leader.stdout
            child = int(leader.stdout.readline())
            assert whose(f"{leader.pid}@{here}", leader.pid) is Whose.OWN
            assert whose(f"{child}@{here}@", leader.pid) is Whose.OWN
            assert whose(f"{os.getpid()}@{here}", leader.pid) is Whose.ANOTHERS
            assert whose(f"{child}@elsewhere", leader.pid) is Whose.UNKNOWN
            assert whose("shop", leader.pid) is Whose.UNKNOWN
        finally:
            os.killpg(leader.pid, 9)


def test_a_connection_of_any_process_of_a_worker_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        assert not is_connected(os.getpid(), number)
        with socket.create_connection(("127.0.0.1", number)):
            assert is_connected(os.getpid(), number)


def test_a_line_counts_that_came_since_the_start(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("ready\n")
    begin = log.stat().st_size

    assert LogLine("^ready$").is_in(log, 0)
    assert not LogLine("^ready$").is_in(log, begin)
    with log.open("a") as file:
        file.write("starts\nready\n")
    assert LogLine("^ready$").is_in(log, begin)


def test_an_address_may_have_no_port() -> None:
    assert [port_of(each) for each in ("127.0.0.1:7233", "[::1]:7", "temporal.example")] == [
        *(7233, 7, 0)
    ]
