"""The settings of each model family, one file a family."""
