"""Losses of metric learning: a pure function and a thin module each."""
