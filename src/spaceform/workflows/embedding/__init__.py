"""Embedding of data sets in units of work that are done exactly once, on one machine or many."""
