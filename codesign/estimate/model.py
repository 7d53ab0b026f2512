"""The fitted model: coefficients for every kind of block, and how far a prediction may be off."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from codesign.errors import UserError
from codesign.estimate import blocks, technology
from codesign.estimate.census import CHAIN, THROUGH, Block, Census
from codesign.estimate.technology import Technology

FITS = Path(__file__).resolve().parent / "fits"
FAMILIES = {
    "zynq-7000": "xc7",
    "artix-7": "xc7",
    "zynq-ultrascale+": "xc7",
    "ecp5": "ecp5",
    "ice40": "ice40",
    "gowin": "gowin",
}
"""Name of the fit by the family of a board."""
OTHER_CELLS = {"zynq-ultrascale+": "7-series"}
"""Families whose sizes are those of the cells of another one, see `codesign.backends.rtl.synthesis.FAMILIES`."""
LONE = 0.3
"""Of flip-flops, those that have no lookup table and no carry in front, as far as is known beforehand."""
JOINT = "joint"
"""Name of the coefficients for what two blocks of a node save where they meet."""
RESOURCES = ("lut", "ff", "bram36", "dsp")


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far predictions were off on designs that were left out of the fit.

    Attributes
    ----------
    low, high : float
        Of an operator: the least and the greatest share of the prediction that an interval adds to it.
    floor : float
        What is added to the prediction before the share is taken, for operators of a few cells.
    deviation : float
        Of such shares, as a standard deviation.
    common : float
        Share of their variance that the operators of a design have in common, so that it does not average out: from 0
        to 1.
    reach : float
        Of a sum of operators: how many of its standard deviations an interval goes up and down.
    """

    low: float
    high: float
    floor: float
    deviation: float
    common: float
    reach: float


class Fit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of `fits`.

    Attributes
    ----------
    family, tool : str
    designs, blocks, nodes : int
        That it was fitted to: random networks, and their blocks and nodes.
    coverage : float
        Share of operators, and of whole networks, that the intervals are to hold.
    lut, ff : dict
        Coefficients by module and name.
    lut_spread, ff_spread : Spread
    """

    family: str
    tool: str
    designs: int
    blocks: int
    nodes: int
    coverage: float
    lut: dict[str, dict[str, float]]
    ff: dict[str, dict[str, float]]
    lut_spread: Spread
    ff_spread: Spread


@dataclass(frozen=True)
class Amount:
    """What something takes: by prediction, and the interval around it.

    Parameters
    ----------
    lut, ff : float
    bram36 : float
    dsp : int
    """

    lut: float = 0.0
    ff: float = 0.0
    bram36: float = 0.0
    dsp: int = 0

    def __add__(self, other: Amount) -> Amount:
        blocks = whole_blocks(self.bram36 + other.bram36)
        return Amount(self.lut + other.lut, self.ff + other.ff, blocks, self.dsp + other.dsp)


def whole_blocks(bram36: float) -> float:
    """Return a sum of block memories without what rounding leaves of memories of 4 Kib, which are ninths."""
    return round(36 * bram36) / 36


def total(amounts: Iterable[Amount]) -> Amount:
    """Return the sum."""
    return sum(amounts, Amount())


@dataclass(frozen=True)
class Model:
    """Predicts what blocks take.

    Parameters
    ----------
    fit : Fit
    """

    fit: Fit

    @functools.cached_property
    def technology(self) -> Technology:
        """The cells of the fit's family."""
        return technology.KNOWN[self.fit.family]

    def amount(self, census: Census, module: str) -> Amount:
        """Return what a block takes that is made of so much."""
        group = owner(module)
        lut, ff = self.fit.lut[group], self.fit.ff[group]
        return Amount(
            sum(lut[name] * value for name, value in census.lut.items()),
            sum(ff[name] * value for name, value in census.ff.items()),
            census.bram36,
            census.dsp,
        )

    def block(self, block: Block) -> Amount:
        """Return what a block takes; see `census`."""
        return self.amount(self.census(block), block.module)

    def census(self, block: Block) -> Census:
        """Return what a block is made of in the fit's family.

        Raises
        ------
        UserError
            When nothing was measured of its module.
        """
        if block.module not in blocks.names() or owner(block.module) not in self.fit.lut:
            known = block.module in blocks.names() and hasattr(blocks.module(block.module), "ABSORBS")
            hint = "is lut_inputs in the board's file that of its part?" if known else "see codesign calibrate."
            raise UserError(
                f"what the module {block.module} takes was never measured for {self.fit.family}, so it cannot be "
                f"estimated; {hint}"
            )
        return blocks.module(block.module).census(replace(block, technology=self.technology))

    def joints(self, count: int) -> Amount:
        """Return what so many places save where two blocks of a node meet: negative amounts."""
        return Amount(-count * self.fit.lut[JOINT]["saved"], -count * self.fit.ff[JOINT]["saved"])

    def interval(self, predicted: float, resource: str) -> tuple[float, float]:
        """Return the interval of an operator for "lut" or "ff", which `Fit.coverage` of operators lie in."""
        spread = self._spread(resource)
        around = predicted + spread.floor
        return max(0.0, predicted + spread.low * around), max(0.0, predicted + spread.high * around)

    def interval_of_sum(self, predicted: Iterable[float], resource: str) -> tuple[float, float]:
        """Return the interval of a whole network, given the predictions of its operators."""
        spread = self._spread(resource)
        values = list(predicted)
        shares = [spread.deviation * (value + spread.floor) for value in values if value > 0]
        alone = (1 - spread.common) * sum(share * share for share in shares)
        together = spread.common * sum(shares) ** 2
        # The middle of an operator's interval is that of a sum's.
        middle = sum(values)
        reach = spread.reach * math.sqrt(alone + together)
        return max(0.0, middle - reach), middle + reach

    def _spread(self, resource: str) -> Spread:
        return self.fit.lut_spread if resource == "lut" else self.fit.ff_spread


def quantile(coverage: float) -> float:
    """Return how many standard deviations on both sides of its mean a normal distribution covers so far."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + coverage / 2)


def owner(module: str) -> str:
    """Return the module whose coefficients a module has."""
    return str(getattr(blocks.module(module), "OF", module))


def priors(resource: str, own: Technology) -> dict[str, dict[str, float]]:
    """Return what is known of the coefficients of a family beforehand, by module and name."""
    found: dict[str, dict[str, float]] = {JOINT: {"saved": 0.5 if resource == "lut" else 0.0}}
    chains = {CHAIN: own.chain} if resource == "lut" and own.chain else {}
    lone = resource == "lut" and own.through
    for name in sorted(blocks.names()):
        module = blocks.module(name)
        if getattr(module, "ABSORBS", own.absorbs) == own.absorbs and getattr(module, "SERIAL", False) <= own.serial:
            known: Mapping[str, float] = module.LUT if resource == "lut" else module.FF
            through = {THROUGH + key: LONE * value for key, value in module.FF.items()} if lone else {}
            found.setdefault(owner(name), {}).update({**known, **chains, **through})
    return found


@functools.cache
def measured(family: str) -> bool:
    """Tell whether there is a model for the family of a board: fitted to its cells, or to those of `OTHER_CELLS`."""
    return family in FAMILIES


def load(family: str) -> Model:
    """Return the model for the family of a board.

    Raises
    ------
    UserError
        When nothing was measured for it.
    """
    if not measured(family):
        known = ", ".join(FAMILIES)
        raise UserError(
            f"no synthesis was measured for {family} yet, so there is no estimate; choose a board of {known}."
        )
    return read(FITS / f"{FAMILIES[family]}.json")


def read(path: Path) -> Model:
    """Return the model of a file that `codesign calibrate` wrote.

    Raises
    ------
    UserError
        When it cannot be read.
    """
    try:
        return Model(msgspec.json.decode(path.read_bytes(), type=Fit))
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UserError(f"{path}: {error}; write it again with codesign calibrate.") from error
