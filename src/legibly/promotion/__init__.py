"""Changing the model safely: compare two on labelled pictures, promote on evidence, roll back, keep a record."""
