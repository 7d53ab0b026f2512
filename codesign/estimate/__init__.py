"""What hardware takes before it is synthesised: lookup tables, flip-flops, memories and multiplier blocks."""

from codesign.estimate.census import Block, Census
from codesign.estimate.model import Amount, Model, load, total

__all__ = ["Amount", "Block", "Census", "Model", "load", "total"]
