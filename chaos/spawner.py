"""Starts the suite's own Python programs by fork: what they all import is imported once a run.

`python -m chaos.spawner FD` is the process that forks: it imports `PRELOADED`, then starts what it
is asked for over the socket FD, and says how each of them ended. It has one thread and no
connection, so that a fork leaves nothing half done behind. Everything it starts carries its mark.

A fork takes a quarter of the time of a start from nothing: the imports of a worker alone cost two
seconds of a slow core.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import queue
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

PRELOADED = ("workflows.worker", "chaos.fake_api.__main__", "chaos.network.__main__")

OWN = ("workflows", "chaos", "tests")
"""The packages whose programs may be started so: nobody else's code is run in our imports."""

_LONGEST_BYTES = 1 << 17
_ANSWER_SECONDS = 60.0
_TRIES = 2
"""The second by a new process, where the first has died."""


class SpawnerError(Exception):
    """A process could not be started. One sentence says why."""


def may_fork(argv: Sequence[str]) -> bool:
    """Whether it is `python -m` of this Python with a program of the suite's own."""
    if len(argv) < 3 or tuple(argv[:2]) != (sys.executable, "-m"):
        return False
    return argv[2].partition(".")[0] in OWN


@dataclass
class Forked:
    """A process that the spawner has started: as much of `psutil.Popen` as is needed."""

    pid: int
    handle: int
    """A pidfd: it names this process for good, whoever gets its number later."""
    code: Future[int | None] = field(default_factory=Future)
    """Its exit code; None where the spawner died before it."""

    def send_signal(self, number: signal.Signals) -> None:
        """Raises ProcessLookupError where it is gone."""
        signal.pidfd_send_signal(self.handle, number)

    def wait(self) -> int | None:
        """Wait for its end; its exit code, None where nobody could see that."""
        code = self.code.result()
        if code is None:
            _until_gone(self.handle)
        return code

    def __del__(self) -> None:
        os.close(self.handle)


class Spawner:
    """The process that forks, for one run. It begins to import at `begin`, and ends at `close`."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment, self._folder = dict(environment), folder
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it, unless it runs; it imports while its caller goes on."""
        with self._turn:
            self._require_process()

    def start(
        self, argv: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
    ) -> Forked:
        """Start a program, its output appended to `log`. Raises SpawnerError, and OSError where
        there can be no log.
        """
        request = {
            "argv": list(argv[2:]),
            "environment": dict(environment),
            "folder": str(folder),
        }
        with self._turn, log.open("ab") as output:
            for _ in range(_TRIES):
                self._require_process()
                try:
                    return self._ask(json.dumps(request).encode(), output.fileno())
                except (OSError, queue.Empty):
                    self._end()
        raise SpawnerError(
            f"{argv[2]} could not be started: the process that starts the others does not answer."
        )

    def _ask(self, request: bytes, output: int) -> Forked:
        socket.send_fds(self._socket, [request], [output])
        answer = self._answers.get(timeout=_ANSWER_SECONDS)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Let it go; what it has started is left to whoever asked for it."""
        with self._turn:
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._socket.close()
            self._process = None

    def _require_process(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._answers: queue.SimpleQueue[Forked | Exception] = queue.SimpleQueue()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "chaos.spawner", str(theirs.fileno())],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        arguments = (self._socket, self._answers)
        self._reader = threading.Thread(
            target=self._read, args=arguments, name="spawner", daemon=True
        )
        self._reader.start()

    def _read(self, ours: socket.socket, answers: queue.SimpleQueue[Forked | Exception]) -> None:
        """Take in what it says until it is gone: who was started, and how each ended."""
        children: dict[int, Forked] = {}
        while True:
            try:
                data, handles, _, _ = socket.recv_fds(ours, _LONGEST_BYTES, 1)
            except OSError:
                data, handles = b"", []
            if not data:
                break
            told: dict[str, Any] = json.loads(data)
            if "code" in told:
                children.pop(told["pid"]).code.set_result(told["code"])
            elif handles:
                child = children[told["pid"]] = Forked(told["pid"], handles[0])
                answers.put(child)
            else:
                answers.put(SpawnerError(f"a process could not be forked: {told['problem']}."))
        for child in children.values():
            child.code.set_result(None)
        answers.put(ConnectionError())


def _until_gone(handle: int) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll()


def main(descriptor: int) -> int:
    """Serve until the other end of the socket is closed."""
    for module in PRELOADED:
        importlib.import_module(module)
    # A fork copies what is written to, and the collector writes to all that it looks at.
    gc.collect()
    gc.freeze()
    threads = len(list(Path("/proc/self/task").iterdir()))
    with socket.socket(fileno=descriptor) as ours:
        if threads == 1:
            _serve(ours)
    return 0 if threads == 1 else 1


def _serve(ours: socket.socket) -> None:
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    children: dict[int, int] = {}
    while True:
        for ready, _ in poll.poll():
            if ready in children:
                pid = children.pop(ready)
                poll.unregister(ready)
                os.close(ready)
                _, status = os.waitpid(pid, 0)
                _tell(ours, {"pid": pid, "code": os.waitstatus_to_exitcode(status)})
                continue
            request, outputs, _, _ = socket.recv_fds(ours, _LONGEST_BYTES, 1)
            if not request:
                return
            try:
                pid = os.fork()
            except OSError as error:
                _tell(ours, {"problem": error.strerror})
            else:
                if pid == 0:
                    _become(json.loads(request), outputs[0], [ours.fileno(), *children])
                handle = os.pidfd_open(pid)
                children[handle] = pid
                poll.register(handle, select.POLLIN)
                # With its handle: it names the process even where that has ended already.
                _tell(ours, {"pid": pid}, handle)
            os.close(outputs[0])


def _tell(ours: socket.socket, what: Mapping[str, object], *handles: int) -> None:
    with contextlib.suppress(OSError):  # nobody is there any more, and the next read shows it
        socket.send_fds(ours, [json.dumps(what).encode()], handles)


def _become(request: Mapping[str, Any], output: int, inherited: Sequence[int]) -> NoReturn:
    """In the new process: be the program, as if it had been started from nothing."""
    code = 1
    try:
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        for descriptor in (output, *inherited):
            os.close(descriptor)
        os.setsid()
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        module, *arguments = request["argv"]
        sys.argv = [module, *arguments]
        sys.path[0] = request["folder"]
        # It is run as the main program, whether or not it was imported for the sake of the rest.
        for name in (module, f"{module}.__main__"):
            sys.modules.pop(name, None)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = _exit_code(end.code)
    except BaseException:  # noqa: BLE001 - as the interpreter does at the end of a program
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _exit_code(code: object) -> int:
    """As the interpreter understands what a program gives to `sys.exit`."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
