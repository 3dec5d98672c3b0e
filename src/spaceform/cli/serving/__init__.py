"""Verbs that bring a Space to others: into a vector store, on a page."""
