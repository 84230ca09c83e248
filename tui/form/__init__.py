"""The form of a run's settings, made from their declaration."""
