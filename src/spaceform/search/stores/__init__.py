"""Vector stores behind one interface: in memory, in a folder, Milvus, PostgreSQL with pgvector, LanceDB.

`store` holds the interface and the checks that every store shares, `collection` what is known of the rows, `normal` the
form of filters that `language` writes for engines; `opening` picks an adapter by the form of a URI.
"""
