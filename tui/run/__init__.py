"""Following a run and showing it: its curves, its progress, its samples."""
