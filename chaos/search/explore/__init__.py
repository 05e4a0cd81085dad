"""`temporal-chaos explore`: kills a worker once at each boundary of a workflow that the wire sees.

It records a fault-free run of each of a target's workflows, makes crash points of what passed on
the wire, brings a worker to each of them, and judges the outcome by the evidence alone.
"""
