"""Learn from a handful of examples per class."""
