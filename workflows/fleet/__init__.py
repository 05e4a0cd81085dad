"""Several workers on one machine that fail over to each other: `python -m workflows.fleet`."""
