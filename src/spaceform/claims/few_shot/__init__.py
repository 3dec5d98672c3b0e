"""Claims of the papers on few-shot learning."""
