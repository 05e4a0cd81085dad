"""A harness that breaks running Temporal workflows and judges, from evidence, what survived."""
