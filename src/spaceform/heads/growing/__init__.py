"""Vectors, statistics and graphs of classes that grow as classes arrive, all in their ``state_dict``."""
