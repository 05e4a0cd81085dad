"""What parts of the project cost, measured beside a baseline of the same run."""
