"""The same vectors everywhere: first differing operator and element."""
