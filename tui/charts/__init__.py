"""Charts in a terminal: growing curves, axes with stable limits, frames of styled text, and the widget that shows them."""
