"""Kills a worker before and after each event of a history and each call of the paid API, once each.

`python -m chaos.search.explore` records a fault-free history, makes the points of it, brings a worker of a
real fleet to each of them, and judges what became of it by the evidence alone.
"""
