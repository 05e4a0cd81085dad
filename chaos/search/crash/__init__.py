"""Crash points: where a call can be hit, the lanes that hit them, and the proof of each hit."""
