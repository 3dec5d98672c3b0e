"""Vectors that are parameters themselves: unit rows moved by Adam until their inner products order as they should."""
