"""Picture files: bytes to pixels, without knowledge of digits."""
