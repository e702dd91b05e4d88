"""Signs between digits: their kinds and places, and texts that keep them."""
