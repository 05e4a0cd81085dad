from __future__ import annotations

import errno
import os
import socket
import sys

import pytest

from chaos.ports import Port


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
