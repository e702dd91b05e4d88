"""Signs between digits: their kinds and places, and texts with them."""
