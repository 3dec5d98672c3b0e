"""Claims of continual learning."""
