"""What an experiment leaves behind: the records of its witnesses, saved and read back."""
