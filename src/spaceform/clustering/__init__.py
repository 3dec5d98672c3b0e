"""Clusterings that know some of the classes already."""
