"""Clusterings of given vectors, how many clusters there are, and how far they can be trusted."""
