"""Threads that Python does not know are gone before it ends.

Each runs in a process of its own: pytest-xdist has such a thread in each of its workers.
"""

from __future__ import annotations

import subprocess
import sys

_FOREIGN = """
import _thread, threading
from chaos.process.threads import let_foreign_threads_leave

entered, leaving = threading.Event(), threading.Event()

def inside():
    entered.set()
    leaving.wait(10)

_thread.start_new_thread(inside, ())
assert entered.wait(10)
print(let_foreign_threads_leave(deadline_seconds=0.05))
leaving.set()
print(let_foreign_threads_leave(deadline_seconds=10))
"""
_OWN = """
import threading
from chaos.process.threads import let_foreign_threads_leave

leaving = threading.Event()
own = threading.Thread(target=leaving.wait)
own.start()
print(let_foreign_threads_leave(deadline_seconds=0.05))
leaving.set()
own.join()
"""


def _said_by(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return done.stdout.decode().split()


def test_one_that_is_in_python_is_waited_for() -> None:
    assert _said_by(_FOREIGN) == ["False", "True"]


def test_those_that_python_has_started_are_its_own_affair() -> None:
    assert _said_by(_OWN) == ["True"]
