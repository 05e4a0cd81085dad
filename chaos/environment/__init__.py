"""What runs during a scenario: the Temporal server, the workers and the fake API."""
