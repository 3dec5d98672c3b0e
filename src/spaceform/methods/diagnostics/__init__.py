"""Measure a space without being told what is in it."""
