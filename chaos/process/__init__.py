"""Processes of ours: how they start, end, are reaped, and find their ports and programs."""
