"""The report of a campaign, from its store alone: whoever can read that, can write it again."""
