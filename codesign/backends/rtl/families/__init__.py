"""Families of the open tools: how each is synthesised, placed, packed and counted; a file for each."""

from codesign.backends.rtl.families import ecp5, gowin, ice40
from codesign.backends.rtl.families.family import Family

__all__ = ["FAMILIES", "Family"]

FAMILIES = {"ecp5": ecp5.FAMILY, "ice40": ice40.FAMILY, "gowin": gowin.FAMILY}
"""By the family of a board; the same as those of `codesign.toolchain.nextpnr`."""
