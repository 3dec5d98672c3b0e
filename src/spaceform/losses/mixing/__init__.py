"""Mixed examples with fractional labels beside the pairs of a batch, for every loss that knows what they cost."""
