"""What several processes hold together."""
