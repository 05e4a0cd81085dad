"""Starts Python programs by fork: what they all import is imported once a run.

`python -m chaos.process.spawner FD MODULE …` is the process that forks: it imports the modules,
then starts what it is asked for over the socket FD, and says how each of them ended. It has one
thread and no connection, so that a fork leaves nothing half done behind. Everything it starts
carries its run tag.

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
import site
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from chaos.process import is_linux
from chaos.process.started import End, Started, reap

OWN = "chaos.wire.__main__"
"""The harness's own program that is started again and again."""

_LONGEST_BYTES = 1 << 17
_ANSWER_SECONDS = 30.0
_MOST_DESCRIPTORS = 1024
"""More than this process ever has."""
_TRIES = 2
"""The second by a new process, where the first has died."""


class SpawnerError(Exception):
    """A process could not be started. One sentence says why."""


def _package(module: str) -> str:
    return module.partition(".")[0]


class Spawner:
    """The process that forks, for one run. It starts to import at `begin`, and ends at `close`."""

    def __init__(
        self, environment: Mapping[str, str], folder: Path, preload: Sequence[str] = ()
    ) -> None:
        self._environment, self._folder = dict(environment), folder
        self._preloaded = (*preload, OWN)
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def may_start(self, argv: Sequence[str]) -> bool:
        """Whether it is `python -m` of this Python with a preloaded program: no other code runs
        among our imports.
        """
        if not is_linux() or len(argv) < 3 or tuple(argv[:2]) != (sys.executable, "-m"):
            return False  # macOS: its libraries do not survive a fork
        return _package(argv[2]) in {_package(module) for module in self._preloaded}

    def begin(self) -> None:
        """Start it, unless it runs; it imports while its caller continues. Only on Linux."""
        if is_linux():
            with self._turn:
                self._require_process()

    def start(
        self, argv: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
    ) -> Started:
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
        raise SpawnerError(f"{argv[2]} could not be started: the spawner does not answer.")

    def _ask(self, request: bytes, output: int) -> Started:
        socket.send_fds(self._socket, [request], [output])
        answer = self._answers.get(timeout=_ANSWER_SECONDS)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End it; the processes that it started are left to their owners."""
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
        self._answers: queue.SimpleQueue[Started | Exception] = queue.SimpleQueue()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [
                    *(sys.executable, "-m", "chaos.process.spawner"),
                    *(str(theirs.fileno()), *self._preloaded),
                ],
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

    def _read(self, ours: socket.socket, answers: queue.SimpleQueue[Started | Exception]) -> None:
        """Read its reports until it has ended: processes that were started, and their ends."""
        children: dict[int, Started] = {}
        try:
            while data := ours.recv(_LONGEST_BYTES):
                told: dict[str, Any] = json.loads(data)
                if "code" in told:
                    end = End(told["code"], told["cpu_seconds"])
                    children.pop(told["pid"]).end.set_result(end)
                elif "pid" in told:
                    child = children[told["pid"]] = Started(told["pid"])
                    answers.put(child)
                else:
                    answers.put(SpawnerError(f"a process could not be forked: {told['problem']}."))
        except OSError:
            pass  # as if it had said that it is gone
        finally:
            for child in children.values():
                child.end.set_result(None)
            answers.put(ConnectionError())


def main(descriptor: int, preloaded: Sequence[str]) -> int:
    """Serve until the other end of the socket is closed."""
    for module in preloaded:
        importlib.import_module(module)
    # A fork copies what is written to, and the collector writes to all that it looks at.
    gc.collect()
    gc.freeze()
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        return 1
    woken, waking = socket.socketpair()
    woken.setblocking(False)
    waking.setblocking(False)
    # A handler, or nobody is woken; it also undoes that children are ignored, which is inherited.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    with socket.socket(fileno=descriptor) as ours, woken, waking:
        _serve(ours, woken)
    return 0


def _serve(ours: socket.socket, woken: socket.socket) -> None:
    poll = select.poll()
    for each in (ours, woken):
        poll.register(each, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if woken.fileno() in ready:
            woken.recv(_LONGEST_BYTES)
            _tell_of_the_dead(ours)
        if ours.fileno() in ready:
            request, outputs, _, _ = socket.recv_fds(ours, _LONGEST_BYTES, 1)
            if not request:
                return
            _tell(ours, _fork(request, outputs[0]))
            os.close(outputs[0])


def _tell_of_the_dead(ours: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):  # none is left
        while (ended := reap(-1, os.WNOHANG))[0]:
            _tell(ours, {"pid": ended[0], **asdict(ended[1])})


def _fork(request: bytes, output: int) -> Mapping[str, object]:
    try:
        pid = os.fork()
    except OSError as error:
        return {"problem": error.strerror}
    if pid == 0:
        _become(json.loads(request), output)
    return {"pid": pid}


def _tell(ours: socket.socket, what: Mapping[str, object]) -> None:
    with contextlib.suppress(OSError):  # nobody is there any more, and the next read shows it
        ours.send(json.dumps(what).encode())


def _become(request: Mapping[str, Any], output: int) -> NoReturn:
    """In the new process: be the program, as if it had been started from nothing."""
    code = 1
    try:
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.closerange(3, _MOST_DESCRIPTORS)
        os.setsid()
        os.chdir(request["folder"])
        _take_its_path(request["environment"])
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


def _take_its_path(environment: Mapping[str, str]) -> None:
    """A program of the target finds no module of the harness, unless it is installed for it."""
    ours, theirs = (
        [each for each in of.get("PYTHONPATH", "").split(os.pathsep) if each]
        for of in (os.environ, environment)
    )
    hidden = {*ours, *theirs} - set(site.getsitepackages())
    sys.path[1:] = [*theirs, *(each for each in sys.path[1:] if each not in hidden)]


def _exit_code(code: object) -> int:
    """The exit code for an argument of `sys.exit`, as the interpreter computes it."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
