"""What a label may be, and whether the people who gave labels agree."""
