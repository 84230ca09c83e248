"""Measurements of the app, from outside and of its parts: what `torchtty bench` prints."""
