"""Showing a run while it goes on: plain lines, or one table that lives on a terminal."""
