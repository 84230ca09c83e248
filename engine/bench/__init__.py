"""Training speed, measured: `python -m torchtty.engine.bench`."""
