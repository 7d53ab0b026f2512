"""Distributed arithmetic: the sums of weights times bits, looked up a few inputs at a time and added.

For constant weights w and bits x_i, a table with the bits of some inputs as its address holds the sum of their
weights: one LUT for each bit of the sum. The address of the word of weights goes into the same LUT. All entries of a
table are lowered by the least of them, so that no sum has a sign; the constant that this leaves out is added once
for an output.

References
----------
White, Applications of distributed arithmetic to digital signal processing: a tutorial review, IEEE ASSP Magazine,
1989.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STEP = 2
"""Levels of adders between registers."""
MOST_WORDS = 64


@dataclass(frozen=True, eq=False)
class Sums:
    """A function of bits and the address of a word of weights.

    Parameters
    ----------
    weight : ndarray of int, shape (words, PE, SIMD)
    lookup : int
        Address bits of a table.
    """

    weight: np.ndarray
    lookup: int

    @property
    def address(self) -> int:
        """Bits of the address of a word."""
        return (len(self.weight) - 1).bit_length()

    @property
    def inputs(self) -> int:
        """Inputs that a table looks up at a time."""
        return max(1, self.lookup - self.address)

    @functools.cached_property
    def _groups(self) -> np.ndarray:
        """The weights by table, shape (words, PE, tables, inputs), zeros at the end."""
        words, pe, simd = self.weight.shape
        tables = -(-simd // self.inputs)
        padded = np.zeros((words, pe, tables * self.inputs), dtype=np.int64)
        padded[:, :, :simd] = self.weight
        return padded.reshape(words, pe, tables, self.inputs)

    @functools.cached_property
    def least(self) -> np.ndarray:
        """The least entry of each table over all words, at most 0, shape (PE, tables)."""
        return np.asarray(np.minimum(self._groups, 0).sum(3).min(0))

    @functools.cached_property
    def most(self) -> np.ndarray:
        """The greatest entry of each table less the least, shape (PE, tables)."""
        return np.asarray(np.maximum(self._groups, 0).sum(3).max(0) - self.least)

    @property
    def offset(self) -> np.ndarray:
        """What is left out of every sum, shape (PE,): true sum = given sum + offset."""
        return np.asarray(self.least.sum(1))

    @property
    def bits(self) -> int:
        """Bits of the sums."""
        return max(1, int(self.most.sum(1).max()).bit_length())

    @functools.cached_property
    def levels(self) -> int:
        """Levels of adders."""
        return int(max(1, (self.most > 0).sum(1).max()) - 1).bit_length()

    @property
    def delay(self) -> int:
        """Clocks: a register behind the tables, and one behind every `STEP` levels of adders."""
        return 1 + self.levels // STEP

    @functools.cached_property
    def luts(self) -> int:
        """LUTs of the family: one for a bit of a table, one for a bit of an adder."""
        wide = 1 << max(0, self.address + self.inputs - self.lookup)
        used = (self.most > 0).sum(1)
        total = 0
        # Outputs with as many tables are added up by adders of one shape.
        for count in np.unique(used[used > 0]).tolist():
            sums = np.sort(self.most[used == count], axis=1)[:, -count:]
            total += wide * _bits(sums)
            while sums.shape[1] > 1:
                even = sums.shape[1] & ~1
                pairs = sums[:, 0:even:2] + sums[:, 1:even:2]
                total += _bits(pairs)
                sums = np.sort(np.concatenate([pairs, sums[:, even:]], axis=1), axis=1)
        return total

    @functools.cached_property
    def _zeros(self) -> np.ndarray:
        """The lowest bits of each table that are 0 in all of its entries, shape (PE, tables)."""
        ones = np.bitwise_or.reduce(np.abs(self._groups), axis=(0, 3))
        # The lowest bit that is 1, as a number; of 0 it is 0.
        return np.maximum(np.frexp((ones & -ones).astype(np.float64))[1] - 1, 0)

    @property
    def made(self) -> dict[str, int]:
        """What the module is made of: bits of tables, of adders and of registers, and bits of all sums that are 0.

        Bits that are 0 in all entries of a table are none, and by the adder of two sums the lowest bits pass that only
        one of them has.
        """
        tables = adders = registers = 0
        for row, zeros in zip(self.most, self._zeros, strict=True):
            sums = [(most, low) for most, low in zip(row.tolist(), zeros.tolist(), strict=True) if most > 0]
            tables += _bits_of(sums)
            for level in range(1, self.levels + 1):
                sums.sort()
                pairs = [sums[i : i + 2] for i in range(0, len(sums), 2)]
                made = [(sum(most for most, _ in pair), [low for _, low in pair]) for pair in pairs]
                adders += _bits_of([(most, max(low)) for most, low in made if len(low) == 2])
                sums = [(most, min(low)) for most, low in made]
                if level % STEP == 0:
                    registers += _bits_of(sums)
        used = self._zeros[self.most > 0]
        zeros = int(used.min()) if used.size else 0
        return {"table": tables, "adder": adders, "register": tables + registers, "zeros": zeros}

    def write(self, name: str) -> str:
        """Return the module."""
        words, pe, simd = self.weight.shape
        lines = [
            f"// For each of {pe} outputs, the sum over {simd} bits of weight times bit, with the weights of one of",
            f"// {words} words, less the least value of that sum. {self.delay} clocks from bits to sums.",
            f"module {name} (",
            "    input  logic clk,",
            "    input  logic enable,",
            f"    input  logic [{max(self.address, 1) - 1}:0] address,",
            f"    input  logic [{simd - 1}:0] bits,",
            f"    output logic [{pe * self.bits - 1}:0] sums",
            ");",
        ]
        for p in range(pe):
            lines += self._output(p)
        return "\n".join([*lines, "endmodule"]) + "\n"

    def _output(self, p: int) -> list[str]:
        """Return the lines of one output: tables, then adders of two, the smallest sums first."""
        declared, clocked, wired = [], [], []
        sums: list[tuple[int, str]] = []
        for table in np.flatnonzero(self.most[p]).tolist():
            most, name = int(self.most[p, table]), f"t{p}_{table}"
            declared.append(_wire(name, most))
            contents, index = self._contents(p, table)
            for bit in range(most.bit_length()):
                constant = sum(((entry >> bit) & 1) << place for place, entry in enumerate(contents))
                size = len(contents)
                declared.append(f"    localparam logic [{size - 1}:0] T{p}_{table}_{bit} = {size}'h{constant:x};")
                clocked.append(f"        {name}[{bit}] <= T{p}_{table}_{bit}[{index}];")
            sums.append((most, name))
        for level in range(1, self.levels + 1):
            sums.sort()
            added = []
            for number, pair in enumerate([sums[i : i + 2] for i in range(0, len(sums), 2)]):
                most, name = sum(value for value, _ in pair), f"s{p}_{level}_{number}"
                registered = level % STEP == 0
                if len(pair) == 1 and not registered:
                    added.append(pair[0])
                    continue
                declared.append(_wire(name, most))
                terms = " + ".join(term for _, term in pair)
                if registered:
                    clocked.append(f"        {name} <= {terms};")
                else:
                    wired.append(f"    assign {name} = {terms};")
                added.append((most, name))
            sums = added
        result = f"{self.bits}'({sums[0][1]})" if sums else f"{self.bits}'d0"
        lines = [*declared, *wired, f"    assign sums[{p * self.bits}+:{self.bits}] = {result};"]
        if clocked:
            lines += ["    always_ff @(posedge clk) if (enable) begin", *clocked, "    end"]
        return lines

    def _contents(self, p: int, table: int) -> tuple[list[int], str]:
        """Return the entries of a table, the word in the upper bits of its address, and the address."""
        words, _, simd = self.weight.shape
        first = table * self.inputs
        last = min(first + self.inputs, simd)
        weights = self._groups[:, p, table, : last - first]
        choices = (np.arange(1 << (last - first))[:, None] >> np.arange(last - first)) & 1
        entries = np.zeros((1 << self.address, len(choices)), dtype=np.int64)
        entries[:words] = weights @ choices.T - self.least[p, table]
        index = f"bits[{last - 1}:{first}]"
        return entries.reshape(-1).tolist(), f"{{address, {index}}}" if self.address else index


def _wire(name: str, most: int) -> str:
    # Kept, so that synthesis adds two at a time on the carry chain.
    return f"    (* keep *) logic [{most.bit_length() - 1}:0] {name};"


def constants(total: np.ndarray, planes: int, turns: int, acc: int) -> np.ndarray:
    """Return what an accumulator starts with, and what is put into it when it has been shifted.

    Parameters
    ----------
    total : ndarray of int, shape (words, PE)
        To add to every output.
    planes, turns : int
        The accumulator is shifted by `planes` bits, `turns` - 1 times.
    acc : int
        Its bits.

    Returns
    -------
    ndarray of int, shape (words * turns, PE)
    """
    shifted = [total >> (planes * (turns - 1))]
    shifted += [(total >> (planes * (turns - 1 - turn))) & ((1 << planes) - 1) for turn in range(1, turns)]
    return np.stack(shifted, axis=1).reshape(-1, total.shape[1])


def _bits(values: np.ndarray) -> int:
    """Return the bits of all values together, none of which is negative."""
    # An exponent of two is exact for integers below 2^53.
    return int(np.frexp(values.astype(np.float64))[1].sum())


def _bits_of(sums: Sequence[tuple[int, int]]) -> int:
    """Return the bits of sums, given the greatest of each and how many of its lowest bits are none."""
    return sum(max(0, most.bit_length() - low) for most, low in sums)
