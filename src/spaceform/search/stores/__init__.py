"""Vector stores behind one interface: in memory and in a folder.

`store` holds the interface and the checks that every store shares, `collection` what is known of the rows, `normal` the
form of filters that compilers start from; `opening` picks an adapter by the form of a URI.
"""
