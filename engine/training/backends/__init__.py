"""Other ways to compute a training step, each proved equal to the eager one before it is used."""
