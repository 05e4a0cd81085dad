"""The programs that the suite runs and does not bring along."""

from __future__ import annotations

import re

from chaos.binaries.model import Program

_VERSION = r"v?(?P<server>\d[^\s,)]*)"
SERVER_VERSION = "1.31.2"

TEMPORAL_CLI = Program(
    name="temporal",
    title="Temporal CLI",
    version="1.5.1",
    package="github.com/temporalio/cli/cmd/temporal",
    variable="TEMPORAL_CLI",
    option="--temporal-cli",
    oldest_go=(1, 25),
    is_in_sdk=True,
    answer=re.compile(rf"^temporal version \S+ \(server {_VERSION}", re.IGNORECASE | re.MULTILINE),
)
"""With its development server. 1.5.1 is the newest that `go install` can build: later ones replace
a dependency.
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
