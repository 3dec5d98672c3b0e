"""Losses of category discovery, on logits of several views and heads."""
