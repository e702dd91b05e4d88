"""Intervals, tests, estimates and drift."""
