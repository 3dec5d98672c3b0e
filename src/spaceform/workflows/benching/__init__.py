"""What the benchmarks compare: ours and the peers, with equal settings."""
