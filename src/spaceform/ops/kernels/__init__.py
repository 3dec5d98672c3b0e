"""Kernels of infinitely wide layers."""
