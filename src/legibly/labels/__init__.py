"""Rules for labels, and agreement between people who gave labels."""
