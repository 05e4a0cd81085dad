"""Kills a worker at each boundary of a workflow that the wire sees, once each.

`python -m chaos explore` records a fault-free run of each of a target's workflows, makes stops of
what passed on the wire, brings a worker to each of them, and judges what became of it by the
evidence alone. `chaos.search.crash.lanes` is where others do the same with one point.
"""
