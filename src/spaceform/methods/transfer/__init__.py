"""Use what was learned elsewhere."""
