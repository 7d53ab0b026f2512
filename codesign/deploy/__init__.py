"""Talking to a programmed board: packets, packing of frames, a serial port, and a client that repeats what was lost."""
