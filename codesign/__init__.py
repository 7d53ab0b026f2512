"""Co-design of low-bit neural networks and FPGA hardware, exact to the last integer."""
