"""Sets of rows: what passes a filter, as a list or as bits, compiled or in NumPy."""
