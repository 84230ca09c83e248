"""The mode Learn: a transformer by hand, losses, optimizers on a surface, and a tour through the recipes."""
