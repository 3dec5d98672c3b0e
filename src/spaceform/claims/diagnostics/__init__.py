"""Claims of the papers on diagnostics."""
