"""Scores and comparisons of models on labelled pictures, and promotion."""
