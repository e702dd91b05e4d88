"""Forms: described once by their boxes and combs, then read from every scan by field."""
