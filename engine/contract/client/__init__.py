"""What can be done to a run from outside: start it, fork it, delete it, train its offline fallback."""
