"""Imports and exports for other programs."""
