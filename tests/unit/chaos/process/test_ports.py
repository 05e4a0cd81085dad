from __future__ import annotations

import errno
import os
import socket
import sys

import pytest

from chaos.process.ports import Port, PortTakenError


def test_a_server_can_listen_on_a_held_port_again_and_again() -> None:
    port = Port()
    address = ("127.0.0.1", port.number)
    for _ in range(2):
        with socket.create_server(address) as server:
            assert server.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            socket.create_connection(address).close()
    port.release()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can hold a port that is to be used")
def test_nobody_else_gets_a_held_port() -> None:
    port = Port()

    with (
        socket.socket() as other,
        pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)),
    ):
        other.bind(("127.0.0.1", port.number))

    port.release()


def test_two_ports_differ() -> None:
    first, second = Port(), Port()

    assert first.number != second.number
    assert first.address == f"127.0.0.1:{first.number}"
    first.release()
    second.release()


def test_a_port_below_a_number_is_below_it_and_nobody_elses() -> None:
    held = [Port(below=10_010) for _ in range(5)]

    numbers = {port.number for port in held}
    assert len(numbers) == 5
    assert max(numbers) < 10_010
    for port in held:
        port.release()


def test_where_all_are_taken_it_says_so() -> None:
    held = Port(below=10_001)

    with pytest.raises(OSError, match="no free port was found from 10000 to 10001"):
        Port(below=10_001)
    held.release()


async def test_a_port_is_open_while_somebody_listens() -> None:
    port = Port()

    assert not await port.is_open()
    with socket.create_server(("127.0.0.1", port.number)):
        assert await port.is_open()
    assert not await port.is_open()
    port.release()


def test_a_port_that_must_be_this_one_is_this_one_also_after_its_connections() -> None:
    number = _used_port()

    for _ in range(2):
        port = Port(number=number)
        assert port.number == number
        with socket.create_server(("127.0.0.1", number)) as server:
            client = socket.create_connection(("127.0.0.1", number))
            accepted, _ = server.accept()
            accepted.close()  # the server's end lingers
            client.close()
        port.release()


def test_a_port_that_another_run_holds_is_told_from_one_where_somebody_listens() -> None:
    held = Port(number=_used_port())
    with pytest.raises(PortTakenError, match=f"^another chaos run uses port {held.number}$"):
        Port(number=held.number)
    held.release()

    here = rf"\(pid {os.getpid()}\) uses port {held.number}$"
    with (
        socket.create_server(("127.0.0.1", held.number)),
        pytest.raises(PortTakenError, match=here),
    ):
        Port(number=held.number)
    Port(number=held.number).release()


def test_localhost_may_be_taken_at_its_other_address(monkeypatch: pytest.MonkeyPatch) -> None:
    number = _used_port()
    try:
        server = socket.create_server(("::1", number), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no ::1")
    found = [
        (family, socket.SOCK_STREAM, 0, "", (host, number))
        for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)  # as of most machines

    with server, pytest.raises(PortTakenError, match=f"uses port {number}"):
        Port(number=number)


def _used_port() -> int:
    """The number of a port that was free a moment ago."""
    port = Port()
    port.release()
    return port.number
