"""Signs between digits: what they are, where they lie, and texts that keep them."""
