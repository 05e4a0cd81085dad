"""Schedules drawn from a seed: faults at random over a running load, healed, and then judged."""
