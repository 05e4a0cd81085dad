"""Paid calls: each is paid for once, or is on record as in doubt."""
