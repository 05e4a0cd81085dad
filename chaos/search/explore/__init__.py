"""`temporal-chaos explore`: kills a worker once at each boundary of a workflow that the wire sees.

It records a fault-free run of each of a target's workflows, derives crash points from the wire's
record, hits each of them, and judges the outcome by the evidence only.
"""
