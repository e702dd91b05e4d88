"""Decodes picture files to pixels; knows nothing about digits."""
