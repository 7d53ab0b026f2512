"""`mvau_planes`: products of a matrix and vectors, a few bits of every input at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from streams import Case, Words, gaps, integers, packed

from codesign.backends.rtl import memory
from codesign.ir import IntType


class Shape(NamedTuple):
    """Folds, types and delay of an instance."""

    pe: int
    simd: int
    x: IntType
    planes: int
    w: int
    fold_in: int
    fold_out: int
    delay: int = 1


def function(shape: Shape, weights: np.ndarray, least: np.ndarray, bits: int) -> str:
    """Return Verilog of the inner sums: weights of the word at `address` times `bits`, less the least sum."""
    content = memory.packed(weights.reshape(-1).tolist(), shape.w)
    size, sums = weights.size * shape.w, shape.planes * shape.pe * bits
    offsets = ", ".join(str(value) for value in reversed(least.tolist()))
    address = max(1, (len(weights) - 1).bit_length())
    return f"""
    localparam logic [{size - 1}:0] WEIGHTS = {size}'h{content:x};
    localparam int LEAST [{shape.pe - 1}:0] = '{{{offsets}}};
    logic enable;
    logic [{address - 1}:0] address;
    logic [{shape.planes * shape.simd - 1}:0] bits;
    logic [{sums - 1}:0] now, late [0:{shape.delay - 1}];
    always_comb begin
        for (int k = 0; k < {shape.planes}; k++) begin
            for (int p = 0; p < {shape.pe}; p++) begin
                int sum;
                sum = -LEAST[p];
                for (int s = 0; s < {shape.simd}; s++) begin
                    int place;
                    place = (int'(address) * {shape.pe} + p) * {shape.simd} + s;
                    if (bits[k*{shape.simd}+s]) sum += int'($signed(WEIGHTS[place*{shape.w}+:{shape.w}]));
                end
                now[(k*{shape.pe}+p)*{bits}+:{bits}] = {bits}'(sum);
            end
        end
    end
    always_ff @(posedge clk) begin
        if (enable) begin
            late[0] <= now;
            for (int stage = 1; stage < {shape.delay}; stage++) late[stage] <= late[stage-1];
        end
    end
"""


def mvau(seed: int, shape: Shape) -> Case:
    rng = np.random.default_rng(seed)
    pe, simd, x, planes, w, fold_in, fold_out, delay = shape
    turns = x.bits // planes
    weights = integers(rng, w, True, (fold_out, fold_in, pe, simd))
    biases = rng.integers(-99, 100, (fold_out, pe))
    vectors = max(3, 60 // (fold_in * fold_out * turns))
    words = integers(rng, x.bits, x.signed, (vectors, fold_out, fold_in, simd))
    words[0] = x.min if x.signed else x.max
    result = np.einsum("vois,oips->vop", words, weights) + biases
    acc = IntType.for_range(min(int(result.min()), -1), int(result.max())).bits
    least = np.minimum(weights, 0).sum(axis=3).min(axis=(0, 1))
    most = (np.maximum(weights, 0).sum(axis=3).max(axis=(0, 1)) - least).max()
    bits = max(1, int(most).bit_length())
    # A signed input is the unsigned one with its highest bit inverted, less 2^(X-1).
    total = biases + least * fold_in * ((1 << x.bits) - 1)
    if x.signed:
        total = total - (weights.sum(axis=(1, 3)) << (x.bits - 1))
    # The highest bits first; then `planes` more whenever the accumulator is shifted.
    shifts = np.arange(turns)[::-1] * planes
    parts = total[:, None] >> shifts[:, None]
    parts[:, 1:] &= (1 << planes) - 1
    sent = words[:, :, None].repeat(turns, axis=2)
    streams = {f"{name}_{end}": f"{name}_{end}" for name in ("in", "out") for end in ("valid", "ready")}
    return Case(
        "mvau_planes",
        {
            "PE": pe,
            "SIMD": simd,
            "X": x.bits,
            "X_SIGNED": x.signed,
            "PLANES": planes,
            "ACC": acc,
            "FOLD_IN": fold_in,
            "FOLD_OUT": fold_out,
            "SUM": bits,
            "DELAY": delay,
            "CONSTANTS": "constants",
        },
        {"in": Words(packed(sent.reshape(-1, simd), x.bits), {"in_data": simd * x.bits})},
        {"out": Words(packed(result.reshape(-1, pe), acc), {"out_data": pe * acc})},
        files={"constants": memory.words(parts.reshape(-1, pe), acc)},
        latency=delay + (3 if planes > 1 else 2),
        needs=range(turns * fold_in - 1, vectors * fold_out * turns * fold_in, turns * fold_in),
        ports=streams
        | {"clk": "clk", "rst": "rst", "in_data": "in_word", "out_data": "out_word"}
        | {"enable": "enable", "address": "address", "bits": "bits", "sums": f"late[{delay - 1}]"},
        wiring=function(shape, weights.reshape(-1, pe, simd), least, bits),
    )


CASES = [
    mvau(seed, shape)
    for seed, shape in enumerate(
        [
            Shape(1, 1, IntType(3, False), 1, 3, 9, 1),
            Shape(2, 3, IntType(4, True), 2, 4, 6, 3, delay=2),
            Shape(3, 8, IntType(2, False), 2, 2, 4, 2),
            Shape(4, 5, IntType(1, False), 1, 1, 1, 3, delay=3),
            Shape(1, 6, IntType(6, True), 3, 5, 1, 1),
            Shape(2, 2, IntType(1, True), 1, 5, 3, 1),
            Shape(2, 4, IntType(5, True), 1, 3, 2, 5, delay=2),
            Shape(1, 9, IntType(8, False), 8, 3, 2, 2),
        ]
    )
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
