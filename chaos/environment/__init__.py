"""What runs during a scenario: Temporal, the target's services and its workers."""
