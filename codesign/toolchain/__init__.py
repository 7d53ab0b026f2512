"""Finding and running compilers and vendor tools."""
