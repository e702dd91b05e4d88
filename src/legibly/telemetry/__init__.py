"""Measurements and traces of the work in deeper layers, for libraries that collect them."""
