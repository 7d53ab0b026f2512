"""Measuring what hardware takes: random networks, their synthesis block by block or node by node, and records of it."""
