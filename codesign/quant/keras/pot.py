"""POT weights for QKeras; see `codesign.quant.pot` for levels and references."""

from __future__ import annotations

from codesign.quant.keras._base import Quantizer, public
from codesign.quant.keras._codebook import CodebookWeight
from codesign.quant.pot import START, levels_of


@public
class PotWeight(CodebookWeight):
    """POT weights of 2 to 5 bits; parameters as in `CodebookWeight`."""

    starts = START

    @staticmethod
    def levels_of(bits: int) -> tuple[int, ...]:
        """Return the magnitudes."""
        return levels_of(bits)


def weight(bits: int, per_channel: bool, depthwise: bool, *, quantile: float | None = None) -> Quantizer:
    """Return the quantizer of a kernel."""
    return PotWeight(bits, per_channel, depthwise, quantile)
