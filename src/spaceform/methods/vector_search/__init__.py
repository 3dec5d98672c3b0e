"""Search among vectors: what it can return, and how fast."""
