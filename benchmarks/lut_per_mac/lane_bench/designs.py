"""Which lanes there are, how one is instantiated, and what it computes, in plain integers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "hw" / "rtl" / "lanes"

LENGTH = 576
"""Products of a dot product, 3 x 3 x 64: the accumulators hold every sum of that many."""

Term = tuple[np.ndarray, np.ndarray]
"""Of every code: the weight, and what the folded sign adds beside weight times activation."""


def _twos_complement(a: int, b: int) -> list[Term]:
    code = np.arange(2**b)
    return [((code ^ 2 ** (b - 1)) - 2 ** (b - 1), np.zeros(2**b, np.int64))]


def _folded(magnitudes: Sequence[int], product_bits: int) -> Term:
    """Codes {sign, index into magnitudes}; a set sign adds 2^product_bits - 1."""
    values = np.array(magnitudes, np.int64)
    sign = np.repeat([0, 1], len(values))
    return np.concatenate([values, -values]), sign * (2**product_bits - 1)


def _magnitude(a: int, b: int) -> list[Term]:
    return [_folded(range(2 ** (b - 1)), a + b - 1)]


def _odd_magnitude(a: int, b: int) -> list[Term]:
    return [_folded(range(1, 2**b, 2), a + b)]


def _odd_planes(a: int, b: int) -> list[Term]:
    code, greatest = np.arange(2**b), 2**b - 1
    return [(2 * code - greatest, (2**a - 1) * (greatest - code))]


def _pot(a: int, b: int) -> list[Term]:
    return [_folded([0, *(1 << i for i in range(2 ** (b - 1) - 1))], a + 2 ** (b - 1) - 2)]


def _post(a: int, b: int) -> list[Term]:
    levels = [128 << (m // 2) if m % 2 else 181 << (m // 2 - 1) if m else 0 for m in range(2 ** (b - 1))]
    return [_folded(levels, a + 6 + 2 ** (b - 2))]


def _post_pair(a: int, b: int) -> list[Term]:
    m = np.tile(np.arange(2 ** (b - 1)), 2)
    terms = []
    for odd_m, bits in ((1, a + 2 ** (b - 2) - 1), (0, a + 2 ** (b - 2) - 2)):
        mine = (m % 2 == odd_m) & (m > 0)
        values = np.where(mine, 1 << np.maximum(m // 2 - (1 - odd_m), 0), 0)
        sign = np.arange(2**b) >= 2 ** (b - 1)
        terms.append((np.where(sign, -values, values), (mine & sign) * (2**bits - 1)))
    return terms


def _apot(a: int, b: int) -> list[Term]:
    low, high = {3: ((0, 1, 2, 4), (0,)), 4: ((0, 1, 4, 8), (0, 2)), 5: ((0, 1, 4, 16), (0, 2, 8, 32))}[b]
    return [_folded([y + x for y in high for x in low], a + 2 * (b - 2))]


def _binary(a: int, b: int) -> list[Term]:
    return [(np.array([-1, 1]), np.array([2**a - 1, 0]))]


@dataclass(frozen=True)
class Form:
    """One way to build the lane of a kind of weights.

    Attributes
    ----------
    kind : str
        Of weights: uniform (-n to n), odd (odd integers alone, as DoReFa's), pot, post, apot, binary.
    module : str
        In hw/rtl/lanes.
    bits : tuple of int
        Widths it is measured at.
    terms : function
        (activation bits, weight bits) → for every accumulator its `Term`.
    alone : bool
        Whether it is a whole lane; not when 181 x comes from outside.
    """

    kind: str
    module: str
    bits: tuple[int, ...]
    terms: Callable[[int, int], list[Term]]
    alone: bool = True


FORMS = {
    "uniform_multiply": Form("uniform", "lane_uniform", (2, 3, 4, 5), _twos_complement),
    "uniform_magnitude": Form("uniform", "lane_uniform_magnitude", (2, 3, 4, 5), _magnitude),
    "uniform_planes": Form("uniform", "lane_uniform_planes", (2, 3, 4, 5), _twos_complement),
    "odd_magnitude": Form("odd", "lane_odd_magnitude", (2, 3, 4), _odd_magnitude),
    "odd_planes": Form("odd", "lane_odd_planes", (2, 3, 4), _odd_planes),
    "pot": Form("pot", "lane_pot", (2, 3, 4, 5), _pot),
    "post_table": Form("post", "lane_post_table", (3, 4, 5), _post),
    "post_shared": Form("post", "lane_post_shared", (3, 4, 5), _post, alone=False),
    "post_pair": Form("post", "lane_post_pair", (3, 4, 5), _post_pair),
    "apot": Form("apot", "lane_apot", (3, 4, 5), _apot),
    "binary": Form("binary", "lane_binary", (1,), _binary),
}


@dataclass(frozen=True)
class Design:
    """A lane with its parameters: `form` of `FORMS`, weight bits, activation bits, products per clock."""

    form: str
    bits: int
    activation_bits: int
    simd: int

    @property
    def name(self) -> str:
        """Name of its module."""
        return f"{self.form}_w{self.bits}_a{self.activation_bits}_s{self.simd}"

    @property
    def kernel(self) -> str:
        """Module of hw/rtl/lanes that it instantiates."""
        return FORMS[self.form].module

    @property
    def terms(self) -> list[Term]:
        """Of every accumulator, what a code contributes."""
        return FORMS[self.form].terms(self.activation_bits, self.bits)

    @property
    def accumulators(self) -> list[tuple[str, int]]:
        """Port and width of every accumulator, wide enough for `LENGTH` products of any kind."""
        names = ["acc"] if len(self.terms) == 1 else ["acc_even", "acc_odd"]
        top = 2**self.activation_bits - 1
        widths = []
        for weight, extra in self.terms:
            low = int(min((weight * top + extra).min(), extra.min())) * LENGTH
            high = int(max((weight * top + extra).max(), extra.max())) * LENGTH
            widths.append(max(high, -low - 1).bit_length() + 1 if low < 0 else high.bit_length())
        return list(zip(names, widths, strict=True))

    def verilog(self) -> str:
        """The lane with its parameters set, as a module of its own named `name` that stays whole in synthesis."""
        ports = ["input logic clk, valid, first", f"input logic [{self.simd * self.activation_bits - 1}:0] x"]
        if not FORMS[self.form].alone:
            ports.append(f"input logic [{self.simd * (self.activation_bits + 8) - 1}:0] x_181")
        ports.append(f"input logic [{self.simd * self.bits - 1}:0] w")
        ports += [f"output logic [{width - 1}:0] {name}" for name, width in self.accumulators]
        parameters = {"SIMD": self.simd, "A": self.activation_bits}
        if FORMS[self.form].kind != "binary":
            parameters["B"] = self.bits
        parameters |= {name.upper(): width for name, width in self.accumulators}
        values = ", ".join(f".{key}({value})" for key, value in parameters.items())
        names = ["clk", "valid", "first", "x", "w", *(name for name, _ in self.accumulators)]
        if not FORMS[self.form].alone:
            names.append("x_181")
        wires = ", ".join(f".{name}({name})" for name in names)
        return (
            f"(* keep_hierarchy *) module {self.name} ({', '.join(ports)});\n"
            f"    {self.kernel} #({values}) lane ({wires});\nendmodule\n"
        )

    def expected(self, valid: np.ndarray, first: np.ndarray, x: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
        """What the accumulators hold after each clock.

        Parameters
        ----------
        valid, first : array of bool, shape (clocks,)
        x, w : array of int, shape (clocks, simd)
            Activations and weight codes.

        Returns
        -------
        list of int64 array, shape (clocks,)
            Of every accumulator, as unsigned bits; 0 until the first dot product opens.
        """
        results = []
        for (weight, extra), (_, width) in zip(self.terms, self.accumulators, strict=True):
            sums = (weight[w] * x + extra[w]).sum(axis=1)
            value, values = 0, []
            for clock, total in enumerate(sums.tolist()):
                if valid[clock]:
                    value = total if first[clock] else value + total
                values.append(value % 2**width)
            results.append(np.array(values, np.int64))
        return results


@dataclass(frozen=True)
class Combine:
    """What makes one integer of the two accumulators of `post_pair`, once per output."""

    bits: int
    activation_bits: int
    form = "post_combine"
    kernel = "post_combine"

    @property
    def name(self) -> str:
        """Name of its module."""
        return f"post_combine_w{self.bits}_a{self.activation_bits}"

    @property
    def widths(self) -> dict[str, int]:
        """Bits of its ports."""
        accumulators = dict(Design("post_pair", self.bits, self.activation_bits, 1).accumulators)
        highest = 128 * 2 ** accumulators["acc_even"] + 181 * 2 ** accumulators["acc_odd"]
        return accumulators | {"y": highest.bit_length()}

    def verilog(self) -> str:
        """It, with its parameters set, as a module named `name` that stays whole in synthesis."""
        even, odd, out = self.widths.values()
        return (
            f"(* keep_hierarchy *) module {self.name} (input logic [{even - 1}:0] acc_even, "
            f"input logic [{odd - 1}:0] acc_odd, output logic [{out - 1}:0] y);\n"
            f"    post_combine #(.ACC_EVEN({even}), .ACC_ODD({odd}), .OUT({out})) combine "
            "(.acc_even(acc_even), .acc_odd(acc_odd), .y(y));\nendmodule\n"
        )


def designs(forms: Sequence[str] | None = None, simd: Sequence[int] = (1, 8, 32)) -> list[Design]:
    """All designs: every form at its widths, activations as wide as the weights and of 8 bits."""
    return [
        Design(name, bits, activation_bits, products)
        for name, form in FORMS.items()
        if forms is None or name in forms
        for bits in form.bits
        for activation_bits in (bits, 8)
        for products in simd
    ]


def combines(batch: Sequence[Design]) -> list[Combine]:
    """What the pairs of accumulators in a batch are combined by."""
    widths = {(design.bits, design.activation_bits) for design in batch if design.form == "post_pair"}
    return [Combine(*pair) for pair in sorted(widths)]


def sources(batch: Sequence[Design | Combine]) -> dict[str, str]:
    """The kernels that a batch needs, by file name: one module per file, named as the file."""
    kernels = {path.stem: path.read_text() for path in sorted(SOURCES.glob("*.sv"))}
    needed: set[str] = set()
    more = {design.kernel for design in batch}
    while more:
        needed |= more
        words = set(re.findall(r"\w+", " ".join(re.sub(r"//.*", "", kernels[name]) for name in more)))
        more = (words & kernels.keys()) - needed
    return {f"{name}.sv": kernels[name] for name in sorted(needed)}
