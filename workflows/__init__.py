"""Two workflows that make paid videos on Temporal: a single one, and a series."""
