"""Scores, each with its direction and range."""
