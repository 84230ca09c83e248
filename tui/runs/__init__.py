"""The Runs screen: every run in the folder, opened, compared or deleted."""
