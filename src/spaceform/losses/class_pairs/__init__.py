"""Losses over pairs of classes: a gate for every two of them, and what is asked for inside it."""
