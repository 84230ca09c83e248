"""Text decoding and image grids."""
