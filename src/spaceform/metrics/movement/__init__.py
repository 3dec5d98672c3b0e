"""How far training moved what a network knows of its rows."""
