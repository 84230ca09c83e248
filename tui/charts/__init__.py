"""Curves in a terminal: series that grow, axes that hold still, frames, and the widget that shows them."""
