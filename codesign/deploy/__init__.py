"""Talking to a programmed board: packets, packing of frames, a serial port, and a client that never gives up early."""
