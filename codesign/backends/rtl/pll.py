"""Another clock than that of a board's oscillator: dividers of the PLLs of the open families.

Formulas and ranges are the vendors': Lattice FPGA-TN-02052 (iCE40), Lattice FPGA-TN-02200 and FPGA-DS-02012 (ECP5),
Gowin UG286 and DS226 (GW2A).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from codesign.boards import Board
from codesign.errors import UserError

MOST_OFF = Fraction(1, 100)
"""Share by which a clock may be off from the one that is asked for."""


@dataclass(frozen=True)
class Pll:
    """Settings of a PLL.

    Parameters
    ----------
    exact_mhz : Fraction
        What it makes of the oscillator.
    internal_mhz : Fraction
        Of the oscillator in it (VCO).
    reference : int
        Divider of the board's oscillator.
    module, cell : str
        In ``hw/shell/pll``: the PLL as the shell takes it, and the vendor's cell in it.
    parameters : mapping of str to int or str
        Of the module.
    """

    exact_mhz: Fraction
    internal_mhz: Fraction
    reference: int
    module: str
    cell: str
    parameters: Mapping[str, int | str]

    @property
    def mhz(self) -> float:
        """What it makes, in MHz."""
        return float(self.exact_mhz)

    @property
    def files(self) -> tuple[str, str]:
        """Its modules below ``hw/shell``."""
        return f"pll/{self.module}.sv", f"pll/{self.cell}.sv"

    def clock_source(self) -> str:
        """Return the module ``clock_source`` of the shell."""
        given = ", ".join(
            f'.{name}("{value}")' if isinstance(value, str) else f".{name}({value})"
            for name, value in self.parameters.items()
        )
        return (
            f"// The clock of shell and network: {self.mhz:.6g} MHz, made of the board's oscillator.\n"
            "module clock_source (\n"
            "    input  logic oscillator,\n"
            "    output logic clk,\n"
            "    output logic locked\n"
            ");\n"
            f"    {self.module} #({given}) pll (.oscillator(oscillator), .clk(clk), .locked(locked));\n"
            "endmodule\n"
        )


@dataclass(frozen=True)
class Family:
    """What the PLL of a family can do.

    Parameters
    ----------
    oscillator, detector, internal, output : (float, float)
        Lowest and highest frequency in MHz: of the input, of the phase detector, of the VCO, of the clock made.
    references : int
        Largest divider of the board's oscillator.
    settings : callable
        Given that divider, the frequency of the phase detector and the wanted clock, yields what comes near; such
        settings need not keep to the ranges.
    """

    oscillator: tuple[float, float]
    detector: tuple[float, float]
    internal: tuple[float, float]
    output: tuple[float, float]
    references: int
    settings: Callable[[int, Fraction, Fraction], Iterator[Pll]]


def _nearest(value: Fraction, most: int) -> Iterator[int]:
    """Yield the whole numbers from 1 to `most` on both sides of a value, or the end of them that is nearer to it."""
    below = min(max(int(value), 1), most)
    yield below
    if below + 1 <= most:
        yield below + 1


def _ice40(reference: int, detector: Fraction, wanted: Fraction) -> Iterator[Pll]:
    for power in range(1, 7):
        # The guide has 64 for all modes of feedback; in the simple mode all 7 bits count.
        for feedback in _nearest(wanted * 2**power / detector, 128):
            internal = detector * feedback
            parameters = {
                "DIVR": reference - 1,
                "DIVF": feedback - 1,
                "DIVQ": power,
                "FILTER_RANGE": _filter_range(detector),
            }
            yield Pll(internal / 2**power, internal, reference, "ice40_pll", "SB_PLL40_PAD", parameters)


def _filter_range(detector: Fraction) -> int:
    """Return the setting of the loop filter, as the vendor's wizard chooses it by the frequency of the detector."""
    return 1 + sum(detector >= limit for limit in (17, 26, 44, 66, 101))


def _ecp5(reference: int, detector: Fraction, wanted: Fraction) -> Iterator[Pll]:
    for feedback in _nearest(wanted / detector, 80):
        made = detector * feedback
        for output in range(1, 129):
            parameters = {"CLKI_DIV": reference, "CLKFB_DIV": feedback, "CLKOP_DIV": output}
            yield Pll(made, made * output, reference, "ecp5_pll", "EHXPLLL", parameters)


def _gowin(reference: int, detector: Fraction, wanted: Fraction) -> Iterator[Pll]:
    for feedback in _nearest(wanted / detector, 64):
        made = detector * feedback
        for output in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128):
            parameters: dict[str, int | str] = {
                "FCLKIN": f"{float(detector * reference):g}",
                "IDIV_SEL": reference - 1,
                "FBDIV_SEL": feedback - 1,
                "ODIV_SEL": output,
            }
            yield Pll(made, made * output, reference, "gowin_pll", "rPLL", parameters)


FAMILIES = {
    "ice40": Family((10, 133), (10, 133), (533, 1066), (16, 275), 16, _ice40),
    "ecp5": Family((8, 400), (10, 400), (400, 800), (3.125, 400), 128, _ecp5),
    # Of speed grade C8/I7.
    "gowin": Family((3, 500), (3, 500), (500, 1250), (3.90625, 625), 64, _gowin),
}
"""By the family of a board."""


def nearest(family: str, oscillator_mhz: float, wanted_mhz: float) -> Pll | None:
    """Return the settings that come nearest to a clock, or None where there are none near it.

    Of several, the ones with the fastest phase detector, then those with the VCO nearest to the middle of its range.

    Parameters
    ----------
    family : str
        Of `FAMILIES`.
    oscillator_mhz, wanted_mhz : float
    """
    of = FAMILIES[family]
    oscillator, wanted = Fraction(str(oscillator_mhz)), Fraction(str(wanted_mhz))
    middle = Fraction(sum(of.internal)) / 2
    found = [
        pll
        for reference in range(1, of.references + 1)
        if _within(of.oscillator, oscillator) and _within(of.detector, oscillator / reference)
        for pll in of.settings(reference, oscillator / reference, wanted)
        if _within(of.internal, pll.internal_mhz) and _within(of.output, pll.exact_mhz)
    ]
    return min(
        found,
        key=lambda pll: (abs(pll.exact_mhz - wanted), pll.reference, abs(pll.internal_mhz - middle), pll.internal_mhz),
        default=None,
    )


def _within(limits: tuple[float, float], value: Fraction) -> bool:
    return limits[0] <= value <= limits[1]


def choose(board: Board, wanted_mhz: float) -> Pll | None:
    """Return the settings that make a clock of a board's oscillator; None where it is that of the oscillator.

    Parameters
    ----------
    board : Board
    wanted_mhz : float

    Raises
    ------
    UserError
        When there is no PLL on the board that a shell can use, or none of its settings comes near.
    """
    if board.shell is None or board.family not in FAMILIES:
        raise UserError(
            f"--clock sets a PLL on boards of {', '.join(FAMILIES)}, and {board.name} is one of {board.family}; "
            "leave it out."
        )
    if wanted_mhz == board.clock_mhz:
        return None
    found = nearest(board.family, board.clock_mhz, wanted_mhz)
    wanted = Fraction(str(wanted_mhz))
    if found is None or abs(found.exact_mhz - wanted) > MOST_OFF * wanted:
        low, high = FAMILIES[board.family].output
        made = f"the nearest that it makes is {found.mhz:.6g} MHz" if found else f"it makes {low:g} to {high:g} MHz"
        raise UserError(
            f"the PLL of {board.name} makes no clock within 1 % of {wanted_mhz:g} MHz from its oscillator of "
            f"{board.clock_mhz:g} MHz; {made}."
        )
    return found
