"""Linear heads: fitted on given embeddings, or with several outputs per class."""
