"""Which pairs and triplets of a batch are worth learning from."""
