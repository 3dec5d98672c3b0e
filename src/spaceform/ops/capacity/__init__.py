"""What vectors of d dimensions can return: sets of documents, bounds on the dimension, and a construction."""
