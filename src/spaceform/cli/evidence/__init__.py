"""Verbs that show that it works: the papers, their claims, the benchmarks."""
