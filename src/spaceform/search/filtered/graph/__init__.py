"""A graph over the rows of a segment, and walks on it among the rows that pass."""
