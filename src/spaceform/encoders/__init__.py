"""Estimators that train a network to turn pictures or vectors into vectors, and what they share."""
