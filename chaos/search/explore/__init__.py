"""Kills a worker before and after each event of a history and each call of a service, once each.

`python -m chaos explore` records a fault-free history of each of a target's workflows, makes
the crash points of it, brings a worker to each of them, and judges what became of it by the
evidence alone.
"""
