"""How the results of lenses are shown, one file a lens, and the mode that shows them."""
