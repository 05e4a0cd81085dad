"""Private networks: network namespaces whose only way out is a TUN device that this process holds.

`python -m chaos.network.tun FD OWN PEER PORTS`, begun within a new namespace, sets the device up
and passes it over the socket FD, with as many listening sockets as PORTS says and the namespace
itself. Then it ends. The namespace has no name anywhere: it lives for as long as somebody has these
files, or is in it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DEVICE = "/dev/net/tun"

_NAME = b"chaos0"
_BACKLOG = 128
_PATIENCE_SECONDS = 30.0
_ENTER = ("unshare", "--user", "--map-current-user", "--net")
_IMPORT_PATH = str(Path(__file__).parents[2])

# The numbers of linux/if_tun.h and linux/sockios.h.
_TUNSETIFF, _IFF_TUN_NO_PI = 0x400454CA, 0x1001
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_SIOCSIFADDR, _SIOCSIFDSTADDR = 0x8916, 0x8918


class TunError(Exception):
    """There is no private network here; the sentence says why."""


@dataclass(frozen=True)
class PrivateNetwork:
    """One, by its open files: its device `tun`, its namespaces, and what listens in it."""

    tun: int
    net: int
    user: int
    listeners: Sequence[socket.socket]

    @classmethod
    def create(cls, own: str, peer: str, ports: int = 0) -> PrivateNetwork:
        """A new one with the address `own`, whose device leads to `peer`; `ports` sockets listen
        there, at any ports. Raises TunError.
        """
        here, there = socket.socketpair()
        program = (sys.executable, "-S", "-m", "chaos.network.tun", str(there.fileno()))
        with here, there:
            try:
                done = subprocess.run(  # noqa: S603 - our own module
                    [*_ENTER, *program, own, peer, str(ports)],
                    check=False,
                    capture_output=True,
                    text=True,
                    pass_fds=[there.fileno()],
                    env={**os.environ, "PYTHONPATH": _IMPORT_PATH},
                    timeout=_PATIENCE_SECONDS,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise TunError(f"no network namespace can be made: {error}") from None
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
                raise TunError(f"no network namespace with a TUN device can be made: {last}")
            _, files, _, _ = socket.recv_fds(here, 1, 3 + ports)
        tun, net, user, *listening = files
        os.set_blocking(tun, False)
        listeners = [socket.socket(fileno=each) for each in listening]
        for each in listeners:
            each.setblocking(False)
        return cls(tun, net, user, listeners)

    def entering(self) -> tuple[str, ...]:
        """The beginning of the command line of a program in it, while this process has it."""
        files = f"/proc/{os.getpid()}/fd"
        spaces = (f"--user={files}/{self.user}", f"--net={files}/{self.net}")
        return ("nsenter", *spaces, "--preserve-credentials", "--")

    def close(self) -> None:
        """Give it up."""
        for each in self.listeners:
            each.close()
        for descriptor in (self.tun, self.net, self.user):
            with suppress(OSError):
                os.close(descriptor)


def _address(host: str) -> bytes:
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(host))


def _named(rest: bytes = b"", name: bytes = _NAME) -> bytes:
    """The kernel's `ifreq` of an interface."""
    return struct.pack("=16s24s", name, rest)


def _set_up(own: str, peer: str) -> int:
    """Make the device, and have it and the loopback up; its descriptor."""
    tun = os.open(DEVICE, os.O_RDWR)
    fcntl.ioctl(tun, _TUNSETIFF, _named(struct.pack("=H", _IFF_TUN_NO_PI)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFADDR, _named(_address(own)))
        fcntl.ioctl(control, _SIOCSIFDSTADDR, _named(_address(peer)))
        for name in (b"lo", _NAME):
            found = fcntl.ioctl(control, _SIOCGIFFLAGS, _named(name=name))
            (flags,) = struct.unpack_from("=H", found, 16)
            fcntl.ioctl(control, _SIOCSIFFLAGS, _named(struct.pack("=H", flags | _IFF_UP), name))
    return tun


def _listener(own: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((own, 0))
    listener.listen(_BACKLOG)
    return listener


def main(descriptor: int, own: str, peer: str, ports: int) -> None:
    """Set the network up, within its namespace, and pass it on."""
    try:
        tun = _set_up(own, peer)
        listeners = [_listener(own) for _ in range(ports)]
        spaces = [os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in ("net", "user")]
    except OSError as error:
        sys.exit(f"{error.filename or 'the device'}: {error.strerror}")
    with socket.socket(fileno=descriptor) as there:
        socket.send_fds(there, [b"."], [tun, *spaces, *(each.fileno() for each in listeners)])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
