"""Trained models to integer graphs: the only place where a float becomes an integer."""
