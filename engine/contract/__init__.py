"""The border between the app and the engine: configurations, commands, events and the run directory.

Both sides import it, and it imports neither torch nor textual, so that the app is on screen before torch is.
"""
