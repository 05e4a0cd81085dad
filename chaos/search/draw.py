"""From a seed to a schedule: the same seed and wishes give the same schedule, everywhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chaos.environment.proxy import API, SERVER, link_name
from chaos.faults import (
    AnyFault,
    BadApi,
    BadNetwork,
    Family,
    KillWorker,
    PauseWorker,
    ServerDown,
    ServerPaused,
)
from chaos.network.toxics import (
    AnyToxic,
    Bandwidth,
    BlackHole,
    Down,
    Latency,
    ResetPeer,
    Stream,
)
from chaos.search.load import asked_by
from chaos.search.schedule import Order, Planned, Schedule
from tests.chaos.video.fake_api.ledger import Call
from tests.chaos.video.fake_api.rules import FaultKind, FaultRule, When

FLEET = "fleet-1"
WORKERS = 3
SECONDS_PER_FAULT = 2.5
LAST_START = 0.8
"""Of the duration: what starts later would meet few faults."""
LONGEST_SERIES = 3
REST_SECONDS = 2.0
"""Between two faults of one server or link: it is to work again in the meantime."""

_LINKS = tuple(link_name(FLEET, end) for end in (SERVER, API))
_PASSING = (
    FaultKind.STATUS,
    FaultKind.DELAY,
    FaultKind.RESET,
    FaultKind.MALFORMED,
    FaultKind.EMPTY,
    FaultKind.TRUNCATED,
)
"""What another attempt mends; the others end a workflow, and that is no question of chance."""

_STATUSES = {When.BEFORE_BILLING: (429, 500, 503), When.AFTER_BILLING: (500, 502, 504)}
"""429 and 503 say that nothing was accepted; a provider that bills then would be lying."""


@dataclass(frozen=True)
class Wishes:
    """What a user asks for."""

    families: Sequence[Family] = tuple(Family)
    duration_seconds: float = 60.0
    workflows: int = 30


def draw(seed: int, wishes: Wishes) -> Schedule:
    """The schedule of a seed. Faults of one target never overlap."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    orders = _draw_orders(dice, wishes)
    families = tuple(sorted(set(wishes.families)))
    count = max(1, round(wishes.duration_seconds / SECONDS_PER_FAULT))
    drawn = [_draw_fault(dice, families, n, orders, wishes) for n in range(1, count + 1)]
    return Schedule(
        seed=seed,
        families=families,
        duration_seconds=wishes.duration_seconds,
        workers=WORKERS,
        orders=orders,
        faults=_apart(sorted(drawn, key=lambda planned: planned.at_seconds)),
    )


def _draw_orders(dice: random.Random, wishes: Wishes) -> tuple[Order, ...]:
    """Half singles, half series; the first starts at once."""
    last = wishes.duration_seconds * LAST_START
    times = sorted(round(dice.uniform(0, last), 2) for _ in range(wishes.workflows - 1))
    return tuple(
        Order(
            workflow_id=f"load-{number:03}",
            videos=dice.choice((None, dice.randint(2, LONGEST_SERIES))),
            at_seconds=at,
        )
        for number, at in enumerate([0.0, *times], start=1)
    )


def _draw_fault(
    dice: random.Random,
    families: Sequence[Family],
    number: int,
    orders: Sequence[Order],
    wishes: Wishes,
) -> Planned:
    family = dice.choice(families)
    lasting = round(dice.uniform(1.0, 5.0), 2)
    at = round(dice.uniform(0.0, max(0.0, wishes.duration_seconds - lasting)), 2)
    if family is Family.API:
        return _draw_answer(dice, orders, wishes)
    fault = _DRAWN[family](dice, number)
    instant = isinstance(fault, KillWorker)
    return Planned(at_seconds=at, lasting_seconds=0 if instant else lasting, fault=fault)


def _draw_kill(dice: random.Random, _number: int) -> AnyFault:
    place = dice.randrange(WORKERS)
    # Kills are what this is for; a sleeping worker is only a slower way to die in a fleet.
    return dice.choice((KillWorker(place=place),) * 3 + (PauseWorker(place=place),))


def _draw_server(dice: random.Random, _number: int) -> AnyFault:
    return dice.choice((ServerDown(), ServerPaused()))


def _draw_network(dice: random.Random, number: int) -> AnyFault:
    return BadNetwork(link=dice.choice(_LINKS), toxic=_draw_toxic(dice, f"toxic-{number}"))


def _draw_toxic(dice: random.Random, name: str) -> AnyToxic:
    delay = round(dice.uniform(0.05, 0.5), 3)
    width = dice.randrange(5_000, 100_000)
    one_way = dice.choice((Stream.UPSTREAM, Stream.DOWNSTREAM))
    return dice.choice(
        (
            Down(name=name),
            BlackHole(name=name, stream=Stream.BOTH),
            BlackHole(name=name, stream=one_way),
            Latency(name=name, stream=Stream.BOTH, latency_seconds=delay, jitter_seconds=delay / 2),
            Bandwidth(name=name, stream=Stream.BOTH, bytes_per_second=width),
            ResetPeer(name=name, stream=one_way),
        )
    )


def _draw_answer(dice: random.Random, orders: Sequence[Order], wishes: Wishes) -> Planned:
    """One call of one workflow is answered badly; until the end, for its time is not known."""
    order = dice.choice(orders)
    asked = asked_by(order)
    call = dice.choice(tuple(Call))
    prompt = asked.character_prompt if call is Call.IMAGE else dice.choice(asked.video_prompts)
    kind = dice.choice(_PASSING)
    when = dice.choice(tuple(When))
    status = dice.choice(_STATUSES[when]) if kind is FaultKind.STATUS else 503
    rule = FaultRule(
        call=call,
        kind=kind,
        when=when,
        match=prompt,
        status=status,
        delay_seconds=round(dice.uniform(0.5, 4.0), 2) if kind is FaultKind.DELAY else 0,
    )
    lasting = round(wishes.duration_seconds - order.at_seconds, 2)
    return Planned(at_seconds=order.at_seconds, lasting_seconds=lasting, fault=BadApi(rule=rule))


_DRAWN: Mapping[Family, Callable[[random.Random, int], AnyFault]] = {
    Family.KILL: _draw_kill,
    Family.SERVER: _draw_server,
    Family.NETWORK: _draw_network,
}


def _apart(faults: Sequence[Planned]) -> tuple[Planned, ...]:
    """Without those that would begin at a target while another fault is at it.

    A server that is down cannot be paused; of a link that is cut nothing shows that it is slow.
    """
    kept: list[Planned] = []
    busy_until: dict[str, float] = {}
    for planned in faults:
        target = planned.fault.target
        alone = planned.fault.family in {Family.SERVER, Family.NETWORK}
        if alone and planned.at_seconds < busy_until.get(target, 0.0):
            continue
        busy_until[target] = planned.ends_at_seconds + REST_SECONDS
        kept.append(planned)
    return tuple(kept)
