"""Loopback ports that stay ours while their process is down."""

from __future__ import annotations

import socket
import sys


class Port:
    """A free port of 127.0.0.1, held until `release`.

    On Linux a socket that is bound but does not listen keeps it: the kernel gives the port to
    nobody else, yet a process that sets SO_REUSEADDR (Go and asyncio do) can listen on it, and
    again after a restart. Elsewhere that is refused, so the port is only chosen.
    """

    def __init__(self) -> None:
        self._holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.number: int = self._holder.getsockname()[1]
        if sys.platform != "linux":
            self.release()

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.number}"

    def release(self) -> None:
        """Give the port back."""
        self._holder.close()
