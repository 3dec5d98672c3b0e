"""Linear maps of a space: null spaces, rotations, and the principal directions of every class."""
