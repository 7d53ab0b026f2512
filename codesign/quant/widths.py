"""Bit widths of a network."""

from __future__ import annotations

import msgspec

FLOAT_BITS = 32


class Widths(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bit widths of a network; 32 stands for float.

    Attributes
    ----------
    weight_bits, activation_bits : int
        Hidden layers.
    first_weight_bits, last_weight_bits : int
        Weights of the first and of the last layer.
    last_activation_bits : int
        Input of the last layer.
    residual_bits : int
        Signed operands of residual additions.
    """

    weight_bits: int = FLOAT_BITS
    activation_bits: int = FLOAT_BITS
    first_weight_bits: int = 8
    last_weight_bits: int = 8
    last_activation_bits: int = 8
    residual_bits: int = 8

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantised."""
        return self.weight_bits == FLOAT_BITS and self.activation_bits == FLOAT_BITS
