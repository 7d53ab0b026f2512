"""What the benchmark of search strategies is made of."""
