"""The work that was given out, by its token, and what each worker has in flight; bounded."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from chaos.wire.boundary import Crossing, Kind

_MOST_TASKS = 50_000
_MOST_WORKFLOWS = 10_000
_MOST_IN_HAND = 10_000
"""What is older is unknown: its reports pass, at no boundary."""

Key = tuple[str, str]
"""A workflow: the namespace of a server where it is, and its id."""


@dataclass(frozen=True)
class Task:
    """A piece of work, and its number among those of its kind and subject in its workflow."""

    kind: Kind
    subject: str
    workflow: Key
    run_id: str
    attempt: int = 1
    ordinal: int = 0


@dataclass
class Workflow:
    """What one workflow has given out, and its run that did so last."""

    newest_run: str = ""
    _counts: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    _numbers: dict[tuple[Kind, str, str], int] = field(default_factory=dict)
    _known: dict[tuple[Kind, str], Task] = field(default_factory=dict)

    def count(self, kind: Kind, subject: str) -> int:
        """The number of one more."""
        self._counts[kind, subject] += 1
        return self._counts[kind, subject]

    def counted(self, kind: Kind, subject: str) -> int:
        """How many there are."""
        return self._counts[kind, subject]

    def number(self, kind: Kind, subject: str, name: str) -> int:
        """The number of what has this name, now and whenever it comes again."""
        key = kind, subject, name
        if key not in self._numbers:
            self._numbers[key] = self.count(kind, subject)
        return self._numbers[key]

    def forget(self, kind: Kind, subject: str, name: str) -> None:
        """What comes next under this name is another."""
        self._numbers.pop((kind, subject, name), None)

    def give(self, task: Task, name: str) -> Task:
        """The task with its number, which is from now on known by its name."""
        numbered = replace(task, ordinal=self.number(task.kind, task.subject, name))
        self._known[task.kind, name] = numbered
        return numbered

    def known(self, kind: Kind, name: str) -> Task | None:
        """What was given under a name last."""
        return self._known.get((kind, name))


class Memory:
    """The newest tasks by their tokens, the newest workflows by their keys."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[bytes, Task] = OrderedDict()
        self._workflows: OrderedDict[Key, Workflow] = OrderedDict()

    def remember(self, token: bytes, task: Task) -> None:
        """Its reports will have this token."""
        self._tasks[token] = task
        if len(self._tasks) > _MOST_TASKS:
            self._tasks.popitem(last=False)

    def task(self, token: bytes) -> Task | None:
        """The one that was given out with a token."""
        return self._tasks.get(token)

    def of(self, key: Key) -> Workflow:
        """A workflow, as it is known so far."""
        found = self._workflows.setdefault(key, Workflow())
        self._workflows.move_to_end(key)
        if len(self._workflows) > _MOST_WORKFLOWS:
            self._workflows.popitem(last=False)
        return found


class InFlight:
    """Kept by line and activity. An activity whose next attempt is given out has been let go of."""

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, tuple[str, Crossing]] = OrderedDict()

    def take(self, line: str, activity: Hashable, delivered: Crossing) -> None:
        """The worker of a line has been given an activity."""
        self._held.pop(activity, None)
        self._held[activity] = line, delivered
        if len(self._held) > _MOST_IN_HAND:
            self._held.popitem(last=False)

    def give_back(self, activity: Hashable) -> None:
        """The server has taken its report."""
        self._held.pop(activity, None)

    def leave(self, line: str) -> None:
        """The worker of a line has nothing in flight any more: it is gone."""
        for activity in [key for key, (owner, _) in self._held.items() if owner == line]:
            del self._held[activity]

    def of(self, line: str) -> tuple[Crossing, ...]:
        """What the worker of a line is busy with, as it was delivered."""
        return tuple(crossing for owner, crossing in self._held.values() if owner == line)
