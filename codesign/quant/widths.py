"""Bit widths of a network."""

from __future__ import annotations

import msgspec

FLOAT_BITS = 32
MAX_BITS = 16


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

    Raises
    ------
    ValueError
        When a width is neither 1 to `MAX_BITS` (2 for the signed operands of additions) nor 32.
    """

    weight_bits: int = FLOAT_BITS
    activation_bits: int = FLOAT_BITS
    first_weight_bits: int = 8
    last_weight_bits: int = 8
    last_activation_bits: int = 8
    residual_bits: int = 8

    def __post_init__(self) -> None:
        """Refuse widths that no quantizer has."""
        for field in self.__struct_fields__:
            bits, least = getattr(self, field), 2 if field == "residual_bits" else 1
            if bits != FLOAT_BITS and not least <= bits <= MAX_BITS:
                raise ValueError(
                    f"the field 'widths.{field}' must be {least} to {MAX_BITS}, or {FLOAT_BITS} for float, found {bits}"
                )

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantised."""
        return self.weight_bits == FLOAT_BITS and self.activation_bits == FLOAT_BITS
