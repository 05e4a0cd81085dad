"""Crash points: where a call can be hit, the lanes that hit one each, and the proof of the hit."""
