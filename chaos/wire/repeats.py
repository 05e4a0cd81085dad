"""What services were asked more than once, by what is on record of their lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from chaos.wire.boundary import Crossing
from chaos.wire.journal import Called, WireRecords, service_of

_Item = TypeVar("_Item")
_Key = TypeVar("_Key", bound=Hashable)
_READS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_IDEMPOTENT = frozenset({"PUT", "DELETE"})


class Harm(StrEnum):
    """What it means that a service was asked again; the worst stands first.

    `TWICE`: the service cannot tell that it was the same, and has done it again. `PERHAPS`: the
    same, if it is one workflow's; whose calls they are is not known. `TELLS`: the service can tell,
    by the idempotency key, or because PUT and DELETE are meant so. `NONE`: it was asked to read.
    """

    TWICE = "twice"
    PERHAPS = "perhaps"
    TELLS = "tells"
    NONE = "none"


@dataclass(frozen=True)
class Repeat:
    """Calls of a service that ask for the same, and each of which it may have carried out."""

    service: str
    harm: Harm
    calls: tuple[Called, ...]

    @property
    def method(self) -> str:
        """Such as `POST /charges`."""
        return self.calls[0].method

    @property
    def during(self) -> tuple[str, ...]:
        """The activities that the worker had in flight, of which one must have asked."""
        return tuple(sorted({name for call in self.calls for name in _owner(call).during}))


def repeats(wire: WireRecords) -> tuple[Repeat, ...]:
    """Those of a case (`read_wire`), the worst first.

    Not among them is what never reached the service in full, what it turned away with a status of
    400 to 499, and polling: what one attempt of an activity asks again although it was answered.
    Workflows and activities that ask for the same are kept apart where it is known who asked.
    """
    found: list[Repeat] = []
    done = (each for each in service_calls(wire) if may_be_done(each[1]))
    for (service, method), calls in _grouped(done, lambda each: (each[0], each[1].method)):
        asked = _without_polls(sorted((call for _, call in calls), key=lambda call: call.at))
        found += (Repeat(service, harm, group) for harm, group in _repeated(method, asked))
    return tuple(sorted(found, key=lambda each: (list(Harm).index(each.harm), each.calls[0].at)))


def service_calls(wire: WireRecords) -> Iterator[tuple[str, Called]]:
    """Each request of a service, with its name: workers have a line each, and take over from each
    other.
    """
    for line, records in wire.items():
        service = service_of(line)
        for record in records if service else ():
            if isinstance(record, Called):
                yield service, record


def may_be_done(call: Called) -> bool:
    """Whether the service had the whole request and has not turned it away. What a breakpoint
    answered is not the service's word.
    """
    is_refused = call.status.startswith("4") and call.status != call.decision
    return call.forwarded_at is not None and bool(call.body_sha256) and not is_refused


def only_reads(call: Called) -> bool:
    """Whether it is of a method that changes nothing."""
    return _verb(call.method) in _READS


def _without_polls(calls: Iterable[Called]) -> list[Called]:
    """Without those whose attempt has had an answer to the same already."""
    answered = set()
    kept = []
    for call in calls:
        owner = _owner(call)
        again = (owner.run_id, owner.during, owner.attempt, _what(call), call.idempotency_key)
        if again not in answered:
            kept.append(call)
        if owner.run_id and len(owner.during) == 1 and call.delivered_at and call.status < "500":
            answered.add(again)
    return kept


def _repeated(method: str, calls: Sequence[Called]) -> Iterator[tuple[Harm, tuple[Called, ...]]]:
    """Of the calls of a method, those that belong together."""
    verb = _verb(method)
    harmful: set[int] = set()
    for _, same in _grouped(calls, _what):
        if verb in _READS | _IDEMPOTENT:
            if len(same) > 1:
                yield Harm.NONE if verb in _READS else Harm.TELLS, tuple(same)
            continue
        for harm, group in _untold(same):
            harmful.update(map(id, group))
            yield harm, tuple(group)
    keyed = [call for call in calls if call.idempotency_key and id(call) not in harmful]
    if verb not in _READS | _IDEMPOTENT:
        for _, same in _grouped(keyed, lambda call: call.idempotency_key):
            if len(same) > 1:
                yield Harm.TELLS, tuple(same)


def _untold(same: Sequence[Called]) -> Iterator[tuple[Harm, list[Called]]]:
    """Of calls with the same body, those that the service takes for different ones."""
    unknown = []
    for workflow, calls in _grouped(same, lambda call: _owner(call).workflow_id):
        if not workflow:
            unknown = calls
            continue
        for group in _sharing_an_activity(calls):
            if _is_untold(group):
                yield Harm.TWICE, group
    if unknown and _is_untold(same):
        yield Harm.PERHAPS, list(same)


def _is_untold(calls: Sequence[Called]) -> bool:
    """Whether they have no key, or not the same."""
    return len(calls) > 1 and (len(_keys(calls)) > 1 or _keys(calls) == {""})


def _sharing_an_activity(calls: Iterable[Called]) -> list[list[Called]]:
    """Calls that one activity may have made, directly or by way of others, are together."""
    groups: list[tuple[set[str], list[Called]]] = []
    for call in calls:
        names, members = set(_owner(call).during), [call]
        apart = []
        for group in groups:
            if names & group[0]:
                names, members = names | group[0], [*group[1], *members]
            else:
                apart.append(group)
        groups = [*apart, (names, members)]
    return [members for _, members in groups]


def _grouped(
    items: Iterable[_Item], key: Callable[[_Item], _Key]
) -> list[tuple[_Key, list[_Item]]]:
    groups: dict[_Key, list[_Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return list(groups.items())


def _verb(method: str) -> str:
    return method.partition(" ")[0]


def _what(call: Called) -> tuple[str, str]:
    return call.target_sha256, call.body_sha256


def _keys(calls: Iterable[Called]) -> set[str]:
    return {call.idempotency_key for call in calls}


def _owner(call: Called) -> Crossing:
    """Who asked, as far as that was known when the request came."""
    return call.crossings[0]
