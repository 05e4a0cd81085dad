"""Loopback ports that stay ours while their process is down."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import sys

_LOWEST = 10_000
_TRIES = 1_000


class Port:
    """A free port of 127.0.0.1, held until `release`.

    On Linux a socket that is bound but does not listen keeps it: the kernel gives the port to
    nobody else, yet a process that sets SO_REUSEADDR (Go and asyncio do) can listen on it, and
    again after a restart. Elsewhere that is refused, so the port is only chosen.
    """

    def __init__(self, *, below: int | None = None) -> None:
        """Any, or one with a number below that. Raises OSError where all are taken."""
        self._holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if below is None:
            self._holder.bind(("127.0.0.1", 0))
        else:
            _bind_below(below, self._holder)
        # Only now: with it, the kernel would also give us what another run holds.
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.number: int = self._holder.getsockname()[1]
        if sys.platform != "linux":
            self.release()

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.number}"

    async def is_open(self) -> bool:
        """Whether a process listens at it."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.number)
        except OSError:
            return False
        writer.close()
        return True

    def release(self) -> None:
        """Give the port back."""
        self._holder.close()


def _bind_below(number: int, holder: socket.socket) -> None:
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):  # it is taken
            holder.bind(("127.0.0.1", random.randrange(_LOWEST, number)))  # noqa: S311 - no secret
            return
    holder.close()
    raise OSError(f"no free port was found from {_LOWEST} to {number}")
