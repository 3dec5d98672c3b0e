"""Scores of documents for queries that are not one product of two vectors: words, and many vectors per text."""
