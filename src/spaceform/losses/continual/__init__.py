"""Losses of continual learning: what keeps old classes in place while new ones arrive."""
