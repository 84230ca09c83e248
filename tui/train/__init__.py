"""The Train screen: compose a run, start it, watch it."""
