"""Claims of the papers on class discovery."""
