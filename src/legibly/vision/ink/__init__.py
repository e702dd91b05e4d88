"""Finds ink on paper, and the pieces of it that may be digits."""
