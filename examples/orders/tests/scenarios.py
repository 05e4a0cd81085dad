"""An order is charged once and shipped once, whatever breaks meanwhile."""

from __future__ import annotations

from tests.shop import CHECKS, SHOP, order

from chaos import (
    BadNetwork,
    Case,
    Lab,
    ResetPeer,
    Scenario,
    ServerDown,
    Stream,
    killed_while_open,
    network_was_hit,
    was_down,
)

KILLED = order("order-killed", attempts={"charge_card": 2})


async def worker_dies_charging(lab: Lab) -> None:
    """SIGKILL when the money is taken and the worker does not know it yet."""
    await lab.worker(wire=True)
    charged = await lab.at("call POST /charges answered")
    await lab.start(KILLED)
    hit = await charged.reached()
    await hit.kill()
    await lab.worker()


OUTAGE = order("order-outage")


async def server_restarts(lab: Lab) -> None:
    """The Temporal server is killed while a parcel is handed over, and starts on its database."""
    await lab.worker(wire=True)
    handed_over = await lab.at("call POST /parcels answered")
    await lab.start(OUTAGE)
    hit = await handed_over.reached()
    async with lab.during(ServerDown()):
        lab.note("the server is down, and the worker does not know that the parcel is gone")
    await hit.resume()


HUNG_UP = order("order-hung-up", attempts={"charge_card": 2})


async def payments_hang_up(lab: Lab) -> None:
    """Each connection to the payment provider is reset, until the first attempt has failed."""
    toxic = ResetPeer(stream=Stream.UPSTREAM)
    await lab.worker(links=("payments",))
    async with lab.during(BadNetwork(link="worker-1>payments", toxic=toxic)):
        await lab.start(HUNG_UP)
        await lab.until_failed(HUNG_UP.workflow_id, "charge_card", attempts=1)


SCENARIOS = (
    Scenario(
        name="worker_dies_charging",
        title="Worker Dies While It Charges",
        cases=(
            Case(
                name="sigkill",
                target=SHOP,
                experiment=worker_dies_charging,
                load=lambda _: (KILLED,),
                proofs=(killed_while_open(("worker-1",), KILLED.workflow_id, "charge_card"),),
                invariants=CHECKS,
            ),
        ),
    ),
    Scenario(
        name="server_restarts",
        title="Server Restarts While It Ships",
        cases=(
            Case(
                name="sigkill",
                target=SHOP,
                experiment=server_restarts,
                load=lambda _: (OUTAGE,),
                proofs=(was_down("temporal-server", OUTAGE.workflow_id),),
                invariants=CHECKS,
            ),
        ),
    ),
    Scenario(
        name="payments_hang_up",
        title="Payments Hang Up",
        cases=(
            Case(
                name="reset",
                target=SHOP,
                experiment=payments_hang_up,
                load=lambda _: (HUNG_UP,),
                proofs=(network_was_hit("worker-1>payments", ("reset_peer",)),),
                invariants=CHECKS,
            ),
        ),
    ),
)
