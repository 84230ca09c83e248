"""Training speed, measured: `python -m engine.bench`."""
