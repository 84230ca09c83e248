"""Lenses: what is computed of a model to look into it, one file a lens; how it is shown lives in tui/lenses."""
