"""Pictures in the terminal: grids that a model drew, and their history."""
