"""What the cells of a family are, as far as it matters for what blocks are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codesign.estimate import memory
from codesign.estimate.memory import Library


@dataclass(frozen=True)
class Products:
    """Which multiplications take a multiplier block.

    Parameters
    ----------
    bits : int
        From so many bits on they do: of both operands together, or of the product.
    operand : int
        Bits of the narrower operand from which they do.
    of_product : bool
        `bits` are those of the product, which may be kept in part.
    """

    bits: int
    operand: int
    of_product: bool = False

    def take(self, x: int, signed: bool, w: int, kept: int | None = None) -> bool:
        """Tell whether a product of `x` bits by `w` signed ones does, of which `kept` bits are used."""
        wide = x + (not signed)
        product = x + w if kept is None else min(x + w, kept)
        return (product if self.of_product else wide + w) >= self.bits and min(wide, w) >= self.operand


@dataclass(frozen=True)
class Technology:
    """Cells of a family, and what Yosys makes of them.

    Parameters
    ----------
    lookup : int
        Inputs of a lookup table.
    memories : Library
    multiplier : (int, int)
        Bits of the operands of a multiplier block, the larger one first.
    piece : int
        Bits of the further pieces of an operand that is too wide, where these are narrower than the first; else 0.
    products : Products
        What takes blocks.
    free_products : Products
        The same where blocks are as good as free.
    absorbs : bool
        Registers and adders around a product go into its block.
    shift_register : int
        Registers in a row, without a reset, from which there is a shift register in a lookup table; 0 where there are
        none.
    serial : bool
        Boards have a serial shell around the network.
    chain : float
        Lookup tables that a carry chain takes beside those of its bits.
    shortest : int
        Bits of an adder from which there is a carry chain.
    through : bool
        A flip-flop takes its value from the lookup table or the carry beside it, so that one without either takes a
        table that hands its value on.
    pipelined : bool
        Where blocks are as good as free, registers around a product go into its block, and nothing else does.
    """

    lookup: int
    memories: Library
    multiplier: tuple[int, int]
    piece: int
    products: Products
    free_products: Products
    absorbs: bool
    shift_register: int
    serial: bool = False
    chain: float = 0.0
    shortest: int = 0
    through: bool = False
    pipelined: bool = False

    @property
    def port(self) -> int:
        """Bits of an operand of the multiplier blocks that outputs may share side by side; 0 where blocks add."""
        return 0 if self.absorbs else min(self.multiplier)

    def shifts(self, registers: int) -> bool:
        """Tell whether so many registers in a row, without a reset, become a shift register in a lookup table."""
        return 0 < self.shift_register <= registers


_DSP48 = Products(bits=9, operand=2, of_product=True)
"""`DSP_Y_MINWIDTH` of Yosys, and the narrowest operand of `mul2dsp`."""
XC7 = Technology(
    lookup=6,
    memories=memory.XC7,
    multiplier=(25, 18),
    # `DSP_A_MAXWIDTH_PARTIAL` of Yosys, less a sign.
    piece=17,
    products=_DSP48,
    free_products=_DSP48,
    absorbs=True,
    shift_register=3,
)
ECP5 = Technology(
    lookup=4,
    memories=memory.ECP5,
    multiplier=(18, 18),
    piece=0,
    # Those of `codesign/backends/rtl/mapping.py`.
    products=Products(bits=10, operand=5),
    free_products=Products(bits=6, operand=2),
    absorbs=False,
    shift_register=0,
    serial=True,
    # nextpnr puts a carry cell in front of a chain, of two lookup tables.
    chain=2.0,
    # Yosys makes shorter ones of lookup tables (`arith_map_ccu2c.v`).
    shortest=5,
)
ICE40 = replace(
    ECP5,
    memories=memory.ICE40,
    multiplier=(16, 16),
    # nextpnr puts a cell in front of a chain whose first carry is a signal, and one behind it where its carry is read.
    chain=0.7,
    # Yosys makes shorter ones of lookup tables (`arith_map.v`).
    shortest=3,
    through=True,
    # `ice40_dsp`.
    pipelined=True,
)
GOWIN = replace(
    ECP5,
    memories=memory.GOWIN,
    # nextpnr puts a carry in front of a chain, and behind every other one a carry to make their number even.
    chain=1.5,
    # Yosys makes shorter ones of lookup tables (`arith_map.v`).
    shortest=3,
    through=True,
)
KNOWN = {"xc7": XC7, "ecp5": ECP5, "ice40": ICE40, "gowin": GOWIN}
"""By the name of a fit."""
