"""Many runs as one question: the screen that compares the runs of a group while they train."""
