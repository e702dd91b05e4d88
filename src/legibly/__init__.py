"""Legibly: image classification in the cloud whose answers say how far to trust them."""

__version__ = "0.2.0"
