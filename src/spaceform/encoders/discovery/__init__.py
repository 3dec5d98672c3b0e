"""Encoders that find classes which nobody labelled."""
