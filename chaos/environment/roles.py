"""The processes of a Temporal cluster, and the configuration that each of them reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.environment.postgres import SUPERUSER
from chaos.process.ports import Port

ROLES: Mapping[str, str] = {
    "temporal-frontend": "frontend",
    "temporal-history-1": "history",
    "temporal-history-2": "history",
    "temporal-matching": "matching",
    "temporal-worker": "worker",
}
"""The cluster's processes by name, each with the role that it has."""

POSTGRES = "postgres"
"""The name of the database's process."""

EVERYTHING = "everything"
"""All processes at once, as the target of a fault."""

CLUSTER_TARGETS = (*ROLES, POSTGRES, EVERYTHING)
"""The parts of a cluster that a fault can hit."""

DATABASE, VISIBILITY = "temporal", "temporal_visibility"
FRONTEND = "temporal-frontend"

_SHARDS = 8
"""Enough that each of the history processes has some."""

_SMALLINT = 2**15
"""The schema for PostgreSQL keeps a process's port for membership in a column of this type."""


@dataclass(frozen=True)
class RolePorts:
    """What a process listens on: for calls, and for the gossip of the cluster's membership."""

    calls: Port = field(default_factory=Port)
    membership: Port = field(default_factory=lambda: Port(below=_SMALLINT))

    async def are_open(self) -> bool:
        """Whether both ports are open."""
        return all([await port.is_open() for port in (self.calls, self.membership)])

    def release(self) -> None:
        """Release both."""
        self.calls.release()
        self.membership.release()


@dataclass(frozen=True)
class FrontendTls:
    """PEM files of certificates for a frontend that accepts only clients with one of its `ca`.

    `name` is the host name in the server's certificate. The cluster's own processes are let in by
    the client's certificate.
    """

    ca: Path
    name: str
    server_certificate: Path
    server_key: Path
    client_certificate: Path
    client_key: Path

    def config(self) -> Mapping[str, Any]:
        """In the form of the server's configuration."""
        checks = {"serverName": self.name, "rootCaFiles": [str(self.ca)]}
        return {
            "frontend": {
                "server": {
                    "certFile": str(self.server_certificate),
                    "keyFile": str(self.server_key),
                    "requireClientAuth": True,
                    "clientCaFiles": [str(self.ca)],
                },
                "client": checks,
            },
            "systemWorker": {
                "certFile": str(self.client_certificate),
                "keyFile": str(self.client_key),
                "client": checks,
            },
        }


def role_config(
    name: str,
    ports: Mapping[str, RolePorts],
    *,
    database: str,
    dynamic_config: Path,
    tls: FrontendTls | None = None,
) -> str:
    """The file of one process, which must name the ports of every role: YAML, as JSON.

    `database` is PostgreSQL's `host:port`.
    """
    frontend = ports[FRONTEND].calls
    # Of the roles that are not its own it needs just any ports.
    services = {role: ports[other] for other, role in ROLES.items()} | {ROLES[name]: ports[name]}
    config = {
        "log": {"stdout": True, "level": "warn"},
        "persistence": {
            "defaultStore": "default",
            "visibilityStore": "visibility",
            "numHistoryShards": _SHARDS,
            "datastores": {
                "default": {"sql": _store(database, DATABASE, connections=10)},
                "visibility": {"sql": _store(database, VISIBILITY, connections=2)},
            },
        },
        "global": {
            "membership": {"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"},
            **({"tls": tls.config()} if tls else {}),
        },
        "services": {role: {"rpc": _rpc(found)} for role, found in services.items()},
        "clusterMetadata": _metadata(frontend.address),
        "publicClient": {"hostPort": frontend.address},
        "dynamicConfigClient": {"filepath": str(dynamic_config), "pollInterval": "1m"},
    }
    return json.dumps(config, indent=1)


def dynamic_config(settings: Mapping[str, str]) -> str:
    """The file of settings that a server may be given while it runs: YAML, as JSON."""
    return json.dumps({key: [{"value": _value(text)}] for key, text in settings.items()})


def _value(text: str) -> object:
    """A setting as the command line of a dev server takes it: JSON, or a plain word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _store(database: str, name: str, connections: int) -> Mapping[str, object]:
    return {
        "pluginName": "postgres12",
        "databaseName": name,
        "connectAddr": database,
        "connectProtocol": "tcp",
        "user": SUPERUSER,
        "maxConns": connections,
        "maxIdleConns": connections,
    }


def _rpc(ports: RolePorts) -> Mapping[str, object]:
    return {
        "grpcPort": ports.calls.number,
        "membershipPort": ports.membership.number,
        "bindOnLocalHost": True,
    }


def _metadata(frontend: str) -> Mapping[str, object]:
    return {
        "enableGlobalNamespace": False,
        "failoverVersionIncrement": 10,
        "masterClusterName": "active",
        "currentClusterName": "active",
        "clusterInformation": {
            "active": {
                "enabled": True,
                "initialFailoverVersion": 1,
                "rpcName": "frontend",
                "rpcAddress": frontend,
            }
        },
    }
