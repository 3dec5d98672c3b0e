"""Claims of the papers on metric learning."""
