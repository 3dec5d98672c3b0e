"""Learn classes from a few examples of each."""
