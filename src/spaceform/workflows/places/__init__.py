"""Where verbs read from and write to."""
