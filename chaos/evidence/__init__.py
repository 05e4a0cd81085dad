"""What an experiment leaves behind: independent records, saved and read back."""
