"""What the PNG file of a grid says of itself in its text: the size of its pictures and of the gaps between them (pixels)."""

TILE_KEY = "torchtty-tile"
GAP_KEY = "torchtty-gap"
