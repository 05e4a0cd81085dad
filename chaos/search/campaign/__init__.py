"""Campaigns: the cases of a search, spread over all machines that poll a task queue of a control
cluster, by a workflow of Temporal's own. Its evidence goes to a shared place.
"""
