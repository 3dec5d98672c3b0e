"""Parts of the comparison of two Spaces: pairs of rows, maps between them, controls, readings and words."""
