"""Plans of batches: pure functions of seed, epoch and step."""
