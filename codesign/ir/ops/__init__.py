"""One file per operator: its attributes, type rule, shape rule and exact NumPy meaning."""
