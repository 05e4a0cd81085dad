"""Makes the fault-tolerance suite known to pytest."""

pytest_plugins = ["chaos.plugin"]
