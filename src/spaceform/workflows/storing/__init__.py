"""Spaces in vector stores: written there, and searched there."""
