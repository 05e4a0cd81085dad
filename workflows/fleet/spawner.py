"""Starts workers by fork, so that a new one is ready in a fraction of the time.

The spawner is a process that has imported the worker, has one thread and no connection, and forks
a worker for each request on a socket. It is a fork of the supervisor, made before the supervisor
has a second thread or a connection; its replacement is `python -m workflows.fleet.spawner FD`. It
forks twice: the intermediate process exits, and the orphaned worker becomes the child of the
supervisor, which is the nearest subreaper. So waitpid stays the supervisor's proof of a death, even
if the spawner dies.

Once the code on disk has changed, workers are started by exec until the supervisor is restarted: a
fork would mix old modules with new ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from workflows.fleet.fork import Fork
from workflows.fleet.reports import REPORTS_VARIABLE

WORKER_ARGV = (sys.executable, "-m", "workflows.worker")
"""The program that can be forked."""

_MODULE = WORKER_ARGV[-1]
_ANSWER_SECONDS = 20.0
_LONGEST_BYTES = 1 << 17
_PR_SET_CHILD_SUBREAPER = 36


class SpawnerError(OSError):
    """A worker could not be forked, or its pid is unknown; such a worker stops by itself."""


class Spawner:
    """The supervisor's end of the spawner, which is started when needed, also after its death."""

    def __init__(self) -> None:
        # A thread of its own: a wait here must not block the journal's threads.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spawner")
        self._process: Fork | subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it as a fork of this process, which has most of the imports. If this process has a
        second thread or cannot be forked, the first `start` does it. Only Linux forks.
        """
        if _threads() != 1:
            return
        with contextlib.suppress(OSError):
            _adopt_orphans()
            ours, theirs = _sockets()
            with theirs:
                pid = os.fork()
                if pid == 0:
                    _become_the_spawner(theirs)
            self._socket, self._process = ours, Fork(pid)

    def end(self) -> None:
        """Kill the process if no start is under way; the workers stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._socket.close()
            self._process = None

    async def start(self, environment: Mapping[str, str], descriptors: Sequence[int]) -> int:
        """Start a worker with these as its standard input, its output and its pipe for reports;
        its process id. Raises SpawnerError.
        """
        # Copies: a canceled caller closes its own while these are still to be sent.
        copies = [os.dup(descriptor) for descriptor in descriptors]
        try:
            asking = self._thread.submit(self._start, environment, copies)
        except RuntimeError:  # the thread is shut down
            _close_all(copies)
            raise SpawnerError("no more workers can be started") from None
        asking.add_done_callback(lambda _: _close_all(copies))
        return await asyncio.wrap_future(asking)

    async def close(self) -> None:
        """Kill the process and start no more workers; the running workers stay."""
        self._thread.submit(self.end)
        await asyncio.to_thread(self._thread.shutdown)

    def _start(self, environment: Mapping[str, str], descriptors: Sequence[int]) -> int:
        try:
            self._require_process()
            socket.send_fds(self._socket, [json.dumps(dict(environment)).encode()], descriptors)
            answer = self._socket.recv(_LONGEST_BYTES)
            if not answer:
                raise ConnectionError("it has ended")
        except OSError as error:
            self.end()
            raise SpawnerError(f"the spawner does not answer ({error})") from None
        if not answer.isdigit():
            raise SpawnerError(answer.decode())
        return int(answer)

    def _require_process(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self.end()
        _adopt_orphans()
        self._socket, theirs = _sockets()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "workflows.fleet.spawner", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C in a terminal is for the supervisor only.
                process_group=0,
            )


def _sockets() -> tuple[socket.socket, socket.socket]:
    """The supervisor's end and the spawner's end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_ANSWER_SECONDS)
    return ours, theirs


def _threads() -> int:
    """Of this process; 0 where there is no Linux, which alone forks workers."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 0


def _close_all(descriptors: Sequence[int]) -> None:
    for each in descriptors:
        os.close(each)


def _adopt_orphans() -> None:
    """Become the parent of the orphans of this process's children. Raises SpawnerError."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise SpawnerError(os.strerror(ctypes.get_errno()))
    else:
        raise SpawnerError("only Linux has subreapers")


def main(descriptor: int) -> int:
    """Serve until the supervisor is gone. Signals to its process group end nothing here."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    # It may be inherited that children are ignored, and then nobody can wait for one.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    import_module("workflows.preload")
    worker = import_module(_MODULE)
    build_id = worker.build_id()
    # A fork copies what is written to, and the collector writes to all that it looks at.
    gc.collect()
    gc.freeze()
    if _threads() > 1:
        return 1
    with socket.socket(fileno=descriptor) as ours:
        while True:
            request, descriptors, _, _ = socket.recv_fds(ours, _LONGEST_BYTES, 3)
            if not request:
                return 0
            if worker.build_id() == build_id:
                answer = _fork_twice(json.loads(request), descriptors, ours.fileno())
            else:
                answer = (
                    "the code on disk has changed; restart the supervisor to fork workers again"
                )
            _close_all(descriptors)
            with contextlib.suppress(OSError):  # the supervisor is gone: the next read ends
                ours.send(answer.encode())


def _become_the_spawner(theirs: socket.socket) -> NoReturn:
    """In a fork of the supervisor: run `main` as a new process would."""
    code = 1
    try:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(nothing, descriptor)
        for each in list(Path("/proc/self/fd").iterdir()):
            if int(each.name) not in {0, 1, 2, theirs.fileno()}:
                with contextlib.suppress(OSError):  # the one of this listing is closed already
                    os.close(int(each.name))
        code = main(theirs.detach())
    except BaseException:  # noqa: BLE001 - as the interpreter does at the end of a program
        traceback.print_exc()
    finally:
        os._exit(code)


def _fork_twice(environment: Mapping[str, str], descriptors: Sequence[int], ours: int) -> str:
    """The worker's pid, once the supervisor has adopted it; or a sentence why there is none."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        try:
            first = os.fork()
        except OSError as error:
            os.close(writing)
            return f"a worker cannot be forked: {error.strerror}"
        if first == 0:
            _fork_once_more(environment, descriptors, writing, [ours, reading])
        os.close(writing)
        # The pipe ends once the worker has reset its signal handlers: no signal to it is lost.
        answer = pipe.read()
        os.waitpid(first, 0)
    return answer.decode() or "a worker cannot be forked: there is no room for another process"


def _fork_once_more(
    environment: Mapping[str, str], descriptors: Sequence[int], writing: int, other: Sequence[int]
) -> NoReturn:
    try:
        second = os.fork()
        if second == 0:
            _become_a_worker(environment, descriptors, [writing, *other])
        os.write(writing, str(second).encode())
    finally:
        os._exit(0)


def _become_a_worker(
    environment: Mapping[str, str], descriptors: Sequence[int], inherited: Sequence[int]
) -> NoReturn:
    """Run the worker as a new process would."""
    code = 1
    try:
        os.setsid()
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stdin, output, reports = descriptors
        for source, target in ((stdin, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        for each in (stdin, output, *inherited):
            os.close(each)
        os.environ.clear()
        os.environ.update(environment, **{REPORTS_VARIABLE: str(reports)})
        sys.argv = [_MODULE]
        code = import_module(_MODULE).main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does at the end of a program
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
