"""A stand-in for the paid API, in a process of its own: `python -m tests.chaos.video.fake_api`."""
