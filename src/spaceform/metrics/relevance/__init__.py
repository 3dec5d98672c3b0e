"""Scores of documents for queries against judgements of which documents are relevant."""
