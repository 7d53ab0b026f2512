"""What hardware takes before it is synthesised: lookup tables, flip-flops, memories and multiplier blocks."""

from codesign.estimate.census import Block, Census
from codesign.estimate.model import OTHER_CELLS, Amount, Fit, Model, load, measured, total

__all__ = ["OTHER_CELLS", "Amount", "Block", "Census", "Fit", "Model", "load", "measured", "total"]
