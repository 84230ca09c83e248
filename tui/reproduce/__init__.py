"""Running recipes and holding what came out against the figures they name."""
