"""`mvau_lanes`: `mvau` with lanes of several widths."""

from __future__ import annotations

from codesign.estimate.blocks.mvau import FF as FF
from codesign.estimate.blocks.mvau import LUT as LUT
from codesign.estimate.blocks.mvau import census as census

OF = "mvau"
"""Whose coefficients it has."""
