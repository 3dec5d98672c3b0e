"""Benchmarks as they lie on disk after unpacking, one module per benchmark or form of file."""
