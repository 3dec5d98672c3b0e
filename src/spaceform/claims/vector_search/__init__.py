"""Claims about search among vectors."""
