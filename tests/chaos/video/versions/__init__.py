"""Builds of the video system's workers beyond that of `workflows/`, for deploys from it and to it.

What runs in production today is the *old* build: it is what the next release replaces. The *new*
one is that next release: one change as a team would make it, behind `workflow.patched`. *Broken* is
the same change without that. They are here and not in `workflows/`: production should not change
only so that a test has something to deploy, and what a deploy must not break is what runs there.
"""
