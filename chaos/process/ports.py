"""Loopback ports that stay reserved while their process is down."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import socket

import psutil

from chaos.process import is_linux

_LOWEST = 10_000
_TRIES = 1_000


class PortTakenError(Exception):
    """A fixed port is in use; the message says by which program."""


class Port:
    """A free port of 127.0.0.1, held until `release`.

    On Linux a socket that is bound but does not listen keeps it: the kernel gives the port to no
    other process, yet one that sets SO_REUSEADDR (Go and asyncio do) can listen on it, and again
    after a restart. Elsewhere that is refused, so the port is only chosen.
    """

    def __init__(self, *, below: int | None = None, number: int | None = None) -> None:
        """Any, or one with a number below that, or the one of this `number`. Raises OSError if all
        are taken, PortTakenError if that one is.
        """
        self._lock = lock_port(number) if number else None
        self._holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if number:
            self._bind(number)
        elif below:
            _bind_below(below, self._holder)
        else:
            self._holder.bind(("127.0.0.1", 0))
        # Only now: with it, the kernel would also give us what another run holds.
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.number: int = self._holder.getsockname()[1]
        if not is_linux():
            self._holder.close()

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.number}"

    async def is_open(self) -> bool:
        """Whether a process listens at it."""
        return await is_open(self.number)

    def release(self) -> None:
        """Release the port."""
        self._holder.close()
        if self._lock:
            self._lock.close()

    def _bind(self, number: int) -> None:
        # What is left of its last owner's connections may linger on it for a minute.
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._holder.bind(("127.0.0.1", number))
            is_free = not _is_answered(number)
        except OSError as error:
            is_free = False
            if error.errno != errno.EADDRINUSE:
                self.release()
                raise
        if not is_free:
            self.release()
            raise PortTakenError(f"{_listener(number)} uses port {number}")


async def is_open(number: int) -> bool:
    """Whether a process listens at a port of 127.0.0.1."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", number)
    except OSError:
        return False
    writer.close()
    return True


def _bind_below(number: int, holder: socket.socket) -> None:
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):  # it is taken
            holder.bind(("127.0.0.1", random.randrange(_LOWEST, number)))  # noqa: S311 - no secret
            return
    holder.close()
    raise OSError(f"no free port was found from {_LOWEST} to {number}")


def lock_port(number: int, by: str = "port") -> socket.socket | None:
    """A lock that keeps a port from other runs on this machine, which also reserve without
    listening. The kernel releases it with its process. Locks `by` different names do not exclude
    each other. Outside Linux there is none. Raises PortTakenError.
    """
    if not is_linux():
        return None
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0chaos-{by}-{number}")
    except OSError:
        lock.close()
        raise PortTakenError(f"another chaos run uses port {number}") from None
    return lock


def _is_answered(number: int) -> bool:
    """Whether a process listens there on localhost, which may also be the address of IPv6."""
    with contextlib.suppress(OSError), socket.create_connection(("localhost", number), timeout=1):
        return True
    return False


def _listener(number: int) -> str:
    """The program that listens at a port of this machine, as far as this user may see."""
    with contextlib.suppress(psutil.Error):
        for each in psutil.net_connections("tcp"):
            is_it = getattr(each.laddr, "port", None) == number
            if is_it and each.status == psutil.CONN_LISTEN and each.pid:
                return f"{psutil.Process(each.pid).name()} (pid {each.pid})"
    return "another program"
