"""Texts with queries and judgements of relevance: files, and a generated stress test."""
