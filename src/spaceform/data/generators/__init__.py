"""Generated data whose structure is known exactly."""
