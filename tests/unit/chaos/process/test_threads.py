"""Threads that Python does not know are gone before it ends."""

from __future__ import annotations

import _thread
import threading

from chaos.process.threads import let_foreign_threads_leave


def test_one_that_is_in_python_is_waited_for() -> None:
    entered, leaving = threading.Event(), threading.Event()

    def inside() -> None:
        entered.set()
        leaving.wait(10)

    _thread.start_new_thread(inside, ())
    entered.wait(10)

    assert not let_foreign_threads_leave(deadline_seconds=0.05)
    leaving.set()
    assert let_foreign_threads_leave(deadline_seconds=10)


def test_those_that_python_has_started_are_its_own_affair() -> None:
    leaving = threading.Event()
    own = threading.Thread(target=leaving.wait)
    own.start()

    assert let_foreign_threads_leave(deadline_seconds=10)
    leaving.set()
    own.join()
