"""Mass moved between rows and classes."""
