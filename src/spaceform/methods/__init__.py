"""The papers' methods, one file each, in a folder per purpose. Methods never import methods."""
