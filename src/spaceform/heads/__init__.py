"""Layers that turn embeddings into class scores."""
