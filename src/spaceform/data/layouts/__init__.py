"""Readers of what users have on disk: their own vectors, pictures and texts, and the folders of known benchmarks."""
