"""Losses of category discovery: part of the classes is labelled, every item is seen twice."""
