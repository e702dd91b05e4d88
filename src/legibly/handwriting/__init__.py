"""The handwriting report and its advice."""
