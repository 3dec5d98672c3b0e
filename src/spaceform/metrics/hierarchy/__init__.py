"""How far distances of vectors are those of a tree."""
