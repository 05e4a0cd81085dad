"""The configuration of each process of a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chaos.environment.roles import ROLES, FrontendTls, RolePorts, dynamic_config, role_config

DATABASE = "127.0.0.1:5432"
DYNAMIC = Path("/run/dynamic.yaml")
TLS = FrontendTls(
    ca=Path("/ca"),
    name="temporal.test",
    server_certificate=Path("/server"),
    server_key=Path("/server-key"),
    client_certificate=Path("/client"),
    client_key=Path("/client-key"),
)


@pytest.fixture
def ports() -> Iterator[Mapping[str, RolePorts]]:
    made = {name: RolePorts() for name in ROLES}
    yield made
    for each in made.values():
        each.release()


def _config(name: str, ports: Mapping[str, RolePorts], tls: FrontendTls | None = None) -> Any:
    return json.loads(role_config(name, ports, database=DATABASE, dynamic_config=DYNAMIC, tls=tls))


@pytest.mark.parametrize("name", ROLES)
def test_a_process_listens_at_its_own_ports_and_knows_every_role(
    name: str, ports: Mapping[str, RolePorts]
) -> None:
    config = _config(name, ports)

    assert set(config["services"]) == {"frontend", "history", "matching", "worker"}
    own = config["services"][ROLES[name]]["rpc"]
    assert own["grpcPort"] == ports[name].calls.number
    assert own["membershipPort"] == ports[name].membership.number
    assert config["publicClient"]["hostPort"] == ports["temporal-frontend"].calls.address
    assert config["dynamicConfigClient"]["filepath"] == str(DYNAMIC)
    stores = config["persistence"]["datastores"].values()
    assert {store["sql"]["connectAddr"] for store in stores} == {DATABASE}
    assert "tls" not in config["global"]


def test_membership_ports_fit_the_column_that_postgresql_has_for_them(
    ports: Mapping[str, RolePorts],
) -> None:
    assert max(each.membership.number for each in ports.values()) < 2**15


def test_a_frontend_with_tls_asks_for_certificates(ports: Mapping[str, RolePorts]) -> None:
    tls = _config("temporal-frontend", ports, TLS)["global"]["tls"]

    assert tls["frontend"]["server"]["requireClientAuth"] is True
    assert tls["frontend"]["server"]["clientCaFiles"] == [str(TLS.ca)]
    assert tls["systemWorker"]["certFile"] == str(TLS.client_certificate)


def test_settings_are_as_a_dev_server_takes_them() -> None:
    given = {"a.count": "20", "b.wait": '"0s"', "c.word": "plain", "d.flag": "true"}

    assert json.loads(dynamic_config(given)) == {
        "a.count": [{"value": 20}],
        "b.wait": [{"value": "0s"}],
        "c.word": [{"value": "plain"}],
        "d.flag": [{"value": True}],
    }
