"""Figures of merit, each a function of labels or vectors: pure, no state."""
