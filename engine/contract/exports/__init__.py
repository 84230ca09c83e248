"""What leaves a run and how it comes back: the kinds of export, the files they write, and archives."""
