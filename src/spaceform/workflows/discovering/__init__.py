"""Parts of the discovery: what a novel class is, in figures and in words."""
