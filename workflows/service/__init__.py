"""The HTTP service of the two workflows: `python -m workflows.service`."""
