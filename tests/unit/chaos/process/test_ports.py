from __future__ import annotations

import errno
import os
import socket
import sys

import pytest

from chaos.process.ports import Port


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
