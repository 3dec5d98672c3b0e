"""Find classes that nobody labelled."""
