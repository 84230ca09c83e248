"""torchtty: a playground for small neural networks in a terminal."""
