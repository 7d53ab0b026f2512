"""The lanes of hw/rtl/lanes: what they compute, their simulation and their synthesis."""
