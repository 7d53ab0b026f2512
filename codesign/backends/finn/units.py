"""FINN's layers with the ways to lay them out: PE and SIMD, clocks by FINN's own rules, size by a rough estimate.

The clocks are what FINN promises of its layers (Blott et al., FINN-R, TRETS 2018). The sizes serve the choice of folds
alone: a lookup table for each product of two bits, adders as wide as their sums, memories in the smaller of the two
kinds. What FINN itself estimates is in ``estimates.json`` after the conversion.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codesign.folding import Candidate

BASE_LUTS = 60
"""Handshake and counters of a layer."""
MAX_STREAM = 8191
"""Widest word of weights in bits: Vitis HLS knows no wider integer."""
LUT_RAM = 64
"""Bits of a lookup table as memory."""


@dataclass(frozen=True)
class Layer:
    """One layer of FINN.

    Parameters
    ----------
    kind : str
        FINN's operator, without the suffix of its style.
    style : {"hls", "rtl"}
    attributes : mapping
        What FINN must find in the layer of that name; folds aside.
    """

    kind: str
    style: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Unit:
    """Layers that are laid out together: a sliding window with the pool that reads it, or one layer alone.

    Parameters
    ----------
    layers : tuple of Layer
    candidates : tuple of Candidate
        Their `fold` has one mapping of attributes for each layer.
    bits : int
        Of an element of the output stream.
    sizes : tuple of int
        Elements of a frame, for every operand.
    """

    layers: tuple[Layer, ...]
    candidates: tuple[Candidate, ...]
    bits: int
    sizes: tuple[int, ...]


def divisors(number: int) -> list[int]:
    """Return the divisors of a number, ascending."""
    return [d for d in range(1, number + 1) if number % d == 0]


def memory(depth: float, width: float) -> dict[str, float]:
    """Return what a memory takes: lookup tables up to 64 words, block memories otherwise."""
    if depth * width <= 0:
        return {}
    if depth <= LUT_RAM:
        return {"lut": math.ceil(width)}
    blocks = math.ceil(width / 36) * math.ceil(depth / 1024)
    return {"bram36": max(0.5, min(blocks, math.ceil(width / 18) * math.ceil(depth / 2048)))}


def together(*costs: Mapping[str, float]) -> dict[str, float]:
    """Return the sum of costs."""
    names = sorted(set(itertools.chain.from_iterable(costs)))
    return {name: sum(cost.get(name, 0.0) for cost in costs) for name in names}


def _single(
    layer: Layer, lanes: Sequence[tuple[int, int, int, Mapping[str, float], Mapping[str, int]]], bits: int, size: int
) -> Unit:
    """Return a unit of one layer: lanes in, lanes out, clocks, cost and fold of every candidate."""
    candidates = tuple(Candidate((a,), b, clocks, cost, (dict(fold),)) for a, b, clocks, cost, fold in lanes)
    return Unit((layer,), candidates, bits, (size,))


def per_lane(
    kind: str,
    style: str,
    attributes: Mapping[str, Any],
    channels: int,
    vectors: int,
    bits: tuple[int, int],
    lane_luts: float,
    fold: str = "PE",
    clocks: Callable[[int], int] | None = None,
    operands: int = 1,
) -> Unit:
    """Return a layer that does the same to every channel.

    Parameters
    ----------
    kind, style, attributes
        See `Layer`.
    channels, vectors : int
        Elements of a pixel, pixels of a frame at the output.
    bits : (int, int)
        Of an element at the input and at the output.
    lane_luts : float
        Lookup tables of a lane.
    fold : {"PE", "SIMD"}
    clocks : callable, optional
        Told the lanes, returns the clocks of a frame; all vectors, unless given.
    operands : int
        Streams that come in.
    """
    wanted = clocks or (lambda lanes: channels // lanes * vectors)
    candidates = tuple(
        Candidate((p,) * operands, p, wanted(p), {"lut": BASE_LUTS + p * lane_luts}, ({fold: p},))
        for p in divisors(channels)
    )
    return Unit((Layer(kind, style, attributes),), candidates, bits[1], (channels * vectors,) * operands)


def padding(shape: tuple[int, int, int], pads: tuple[int, int, int, int], bits: int) -> Unit:
    """Return the layer that puts zeros around a frame (height, width, channels)."""
    height, width, channels = shape
    top, bottom, left, right = pads
    padded = (height + top + bottom) * (width + left + right)
    attributes = {"ImgDim": [height, width], "NumChannels": channels, "Padding": [top, left, bottom, right]}
    unit = per_lane("FMPadding", "rtl", attributes, channels, padded, (bits, bits), bits, "SIMD")
    return Unit(unit.layers, unit.candidates, bits, (height * width * channels,))


def _window(
    shape: tuple[int, int, int], kernel: tuple[int, int], stride: tuple[int, int], depthwise: bool, bits: int
) -> tuple[Layer, Callable[[int], int], Callable[[int], dict[str, float]]]:
    """Return the sliding window of a frame that was padded, its clocks and its cost by lanes."""
    height, width, channels = shape
    rows, columns = (height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1
    attributes = {
        "IFMDim": [height, width],
        "IFMChannels": channels,
        "ConvKernelDim": list(kernel),
        "Stride": list(stride),
        "depthwise": int(depthwise),
    }

    def clocks(lanes: int) -> int:
        words = channels // lanes
        first = ((kernel[0] - 1) * width + kernel[1]) * words
        each = max(columns * kernel[0] * kernel[1] * words, stride[1] * width * words)
        if not depthwise:
            return first + rows * each
        return first + rows * (each + columns * (stride[1] - 1) * (words - 1)) + (stride[0] - 1) * width * words

    def cost(lanes: int) -> dict[str, float]:
        words = channels // lanes
        held = (kernel[0] * width + kernel[1]) * words
        return together({"lut": 3 * BASE_LUTS + lanes * bits}, memory(held, lanes * bits))

    return Layer("ConvolutionInputGenerator", "rtl", attributes), clocks, cost


def window(shape: tuple[int, int, int], kernel: tuple[int, int], stride: tuple[int, int], bits: int) -> Unit:
    """Return the sliding window in front of a product."""
    layer, clocks, cost = _window(shape, kernel, stride, False, bits)
    lanes = [(s, s, clocks(s), cost(s), {"SIMD": s}) for s in divisors(shape[2])]
    return _single(layer, lanes, bits, math.prod(shape))


def windowed(
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    bits: tuple[int, int],
    layer: Layer,
    lane_luts: float,
    weight_bits: int = 0,
) -> Unit:
    """Return a sliding window and what reads it channel by channel: a pool, or a depthwise product.

    Parameters
    ----------
    shape : (int, int, int)
        Height, width and channels after padding.
    bits : (int, int)
        Of an element at the input and at the output.
    lane_luts : float
        Lookup tables of a lane of `layer`.
    weight_bits : int
        Of a weight; 0 without.
    """
    slide, clocks, cost = _window(shape, kernel, stride, True, bits[0])
    channels, taps = shape[2], kernel[0] * kernel[1]
    pixels = ((shape[0] - kernel[0]) // stride[0] + 1) * ((shape[1] - kernel[1]) // stride[1] + 1)
    candidates = tuple(
        Candidate(
            (p,),
            p,
            max(clocks(p), channels * taps // p * pixels),
            together(
                cost(p),
                {"lut": BASE_LUTS + p * lane_luts},
                memory(channels * taps / p, p * weight_bits),
            ),
            ({"SIMD": p}, {"PE": p}),
        )
        for p in divisors(channels)
    )
    return Unit((slide, layer), candidates, bits[1], (math.prod(shape),))


@dataclass(frozen=True)
class Product:
    """A product of a matrix with vectors.

    Parameters
    ----------
    terms, outputs, vectors : int
        Terms of a sum, sums of a vector, vectors of a frame.
    bits, weight_bits, sum_bits : int
        Of an input, a weight, a sum.
    xnor : bool
        Counts equal bits.
    multipliers : bool
        In DSP blocks, by FINN's RTL.
    """

    terms: int
    outputs: int
    vectors: int
    bits: int
    weight_bits: int
    sum_bits: int
    xnor: bool
    multipliers: bool

    def cost(self, pe: int, simd: int) -> dict[str, float]:
        """Return what it takes with so many sums and terms of each at a time."""
        depth = self.terms * self.outputs // (pe * simd)
        weights = memory(depth, pe * simd * self.weight_bits)
        if self.multipliers:
            return together({"lut": 2 * BASE_LUTS + pe * self.sum_bits, "dsp": pe * math.ceil(simd / 2)}, weights)
        term = 1.0 if self.xnor else self.bits * self.weight_bits * 1.3
        return together({"lut": 2 * BASE_LUTS + pe * (simd * term + 2 * self.sum_bits)}, weights)


def product(about: Product) -> Unit:
    """Return a matrix-vector unit."""
    attributes = {"MW": about.terms, "MH": about.outputs, "binaryXnorMode": int(about.xnor)}
    layer = Layer("MVAU", "rtl" if about.multipliers else "hls", attributes)
    lanes = [
        (
            simd,
            pe,
            about.terms // simd * (about.outputs // pe) * about.vectors,
            about.cost(pe, simd),
            {"PE": pe, "SIMD": simd},
        )
        for pe in divisors(about.outputs)
        for simd in divisors(about.terms)
        if pe * simd * about.weight_bits <= MAX_STREAM
    ]
    return _single(layer, lanes, about.sum_bits, about.terms * about.vectors)


def thresholding(channels: int, vectors: int, steps: int, bits: tuple[int, int]) -> Unit:
    """Return a thresholding layer: a binary search with a memory for every bit of the output."""
    stages = max(1, steps.bit_length())
    candidates = tuple(
        Candidate(
            (p,),
            p,
            channels // p * vectors,
            together(
                {"lut": BASE_LUTS + p * stages * 1.5 * bits[0]},
                *(memory(channels / p * 2**stage, p * bits[0]) for stage in range(stages)),
            ),
            ({"PE": p},),
        )
        for p in divisors(channels)
    )
    layer = Layer("Thresholding", "rtl", {"NumChannels": channels, "numSteps": steps})
    return Unit((layer,), candidates, bits[1], (channels * vectors,))
