"""Everything that computes. Never imports textual."""
