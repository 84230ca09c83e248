"""What the mode Learn computes, in plain Python: its arithmetic is there while torch is still being imported."""
