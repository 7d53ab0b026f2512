"""Rewrites of the integer graph, one per file, each a pure function graph to graph."""
