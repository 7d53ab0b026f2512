"""What hardware takes before it is synthesised: lookup tables, flip-flops, memories and multiplier blocks."""

from codesign.estimate.census import Block, Census

__all__ = ["Block", "Census"]
