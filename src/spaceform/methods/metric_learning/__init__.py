"""Shape a space by its labels."""
