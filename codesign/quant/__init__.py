"""Quantisation methods, one per file."""
