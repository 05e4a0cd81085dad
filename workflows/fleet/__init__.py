"""The supervisor of several worker processes on one machine: `python -m workflows.fleet`."""
