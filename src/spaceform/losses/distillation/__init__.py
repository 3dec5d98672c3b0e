"""Losses by which a student network learns from a teacher's outputs."""
