"""Benchmarks of category discovery in their original layouts."""
