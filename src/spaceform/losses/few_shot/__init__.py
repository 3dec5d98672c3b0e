"""Losses of episodes: prototypes, the rows around them, and rows made up."""
