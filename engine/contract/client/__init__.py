"""What can be done to a run from outside: start, ask, delete, export."""
