"""Exact and filtered search over the rows of a Space."""
