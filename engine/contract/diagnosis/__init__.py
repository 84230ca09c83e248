"""What is wrong with a run, by rules over its log: what shows it, and which change to try."""
