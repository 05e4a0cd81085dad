"""The video workflows as a guest of the harness: target, fake API, invariants, scenarios."""
