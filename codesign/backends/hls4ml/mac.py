"""What convolutions and dense layers share: folding, weight order, and the choice of the product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from codesign.backends.hls4ml import codebook
from codesign.backends.hls4ml.kernels import Kernel, Place, Table, bits_of, divisors, nearest, number, stored
from codesign.ir import IntType
from codesign.ir.ops import Conv2d, Dense

BINARY = frozenset({-1, 1})


@dataclass(frozen=True)
class Fold:
    """How a matrix product is spread over time.

    Parameters
    ----------
    pe : int
        Outputs computed in parallel.
    simd : int
        Inputs read in parallel.
    steps : int
        Reuse factor: (inputs / simd) · (outputs / pe).
    """

    pe: int
    simd: int
    steps: int


def legal_folds(n_in: int, n_out: int, groups: int) -> dict[int, Fold]:
    """Return the possible folds by their steps.

    Parameters
    ----------
    n_in : int
        Inputs of one output.
    n_out : int
        Outputs of all groups.
    groups : int
        `pe` divides the outputs of a group or is a multiple of them.

    Notes
    -----
    Among folds of equally many steps, the one with the most parallel inputs is kept: it needs the fewest
    multiplexers in front of the products.
    """
    per_group = n_out // groups
    folds: dict[int, Fold] = {}
    for pe in divisors(n_out):
        if per_group % pe and pe % per_group:
            continue
        for simd in divisors(n_in):
            steps = (n_in // simd) * (n_out // pe)
            if steps not in folds or simd > folds[steps].simd:
                folds[steps] = Fold(pe, simd, steps)
    return folds


def order(matrix: np.ndarray, fold: Fold) -> np.ndarray:
    """Return weights (inputs, outputs) as (steps, pe · simd), in the order in which the kernel reads them."""
    n_in, n_out = matrix.shape
    blocks = matrix.T.reshape(n_out // fold.pe, fold.pe, n_in // fold.simd, fold.simd)
    return blocks.transpose(0, 2, 1, 3).reshape(fold.steps, fold.pe * fold.simd)


def kernel(place: Place, function: str, groups: int, extra: dict[str, int | str]) -> Kernel:
    """Return the kernel of a convolution or dense layer.

    Parameters
    ----------
    place : Place
    function : str
        Kernel of `hw/hls`.
    groups : int
    extra : dict
        More members of the configuration struct.
    """
    op = cast("Conv2d | Dense", place.node.op)
    n_out = op.weight.shape[-1]
    values = op.values().reshape(-1, n_out)
    folds = legal_folds(len(values), n_out, groups)
    fold = folds[nearest(place.reuse_factor, sorted(folds))]
    bias = np.zeros(n_out, dtype=np.int64) if op.bias is None else op.bias
    code = ""
    sums: dict[str, int | str] = {}
    name = place.node.name
    if op.codebook is not None:
        stored_weights = op.weight.reshape(-1, n_out)
        weight = IntType(max(1, (len(op.codebook) - 1).bit_length()), signed=False)
        meaning = "codes into the codebook " + ", ".join(str(int(v)) for v in op.codebook)
    else:
        stored_weights = values
        weight = IntType(max(op.weight_bits), signed=True)  # type: ignore[arg-type]
        meaning = "integer weights, bits per output " + _runs(op.weight_bits)  # type: ignore[arg-type]
    product = "codesign::multiply"
    if place.x.type == IntType(1, signed=False) and set(np.unique(values).tolist()) <= BINARY:
        product = "codesign::exclusive_nor"
        stored_weights = (values + 1) // 2
        weight = IntType(1, signed=False)
        meaning = "binary weights, 0 stands for -1 and 1 for +1"
        # Σ w·x = Σ [x = w] − Σ [w = −1]; a padded zero is an input of 0 like any other.
        bias = bias - (values < 0).sum(axis=0)
    elif op.codebook is not None and (split := codebook.split(op.codebook)) is not None:
        code, sums = codebook.split_product(place.x, split, stored_weights, weight, place.y.type)
    elif op.codebook is not None:
        code = codebook.product(place.x, op.codebook, weight)
    bias_type = bits_of(bias)
    config: dict[str, int | str] = {
        **extra,
        "n_in": len(values),
        "n_out": n_out,
        "groups": groups,
        "pe": fold.pe,
        "simd": fold.simd,
        "steps": fold.steps,
        "lanes": fold.pe * fold.simd,
        "accumulators": 2 if sums else 1,
        **sums,
        "weight_t": number(weight),
        "accum_t": number(place.y.type),
        "weight_store_t": stored(weight),
        "bias_store_t": stored(bias_type),
    }
    if not code:
        config["product"] = product
    shape = "x".join(map(str, op.weight.shape))
    tables = (
        Table(
            f"{name}_weight",
            order(stored_weights, fold),
            weight,
            f"{name}: {meaning}; tensor {shape}; here [step][{fold.pe} outputs, {fold.simd} inputs]",
        ),
        Table(f"{name}_bias", bias, bias_type, f"{name}: what the accumulator of each output starts from"),
    )
    return Kernel(function, config, tables, code, fold.steps)


def _runs(widths: tuple[int, ...]) -> str:
    """Return widths per channel as text, equal neighbours joined: "3 (16x), 4 (2x)"."""
    runs: list[list[int]] = []
    for width in widths:
        if runs and runs[-1][0] == width:
            runs[-1][1] += 1
        else:
            runs.append([width, 1])
    return ", ".join(f"{width} ({count}x)" for width, count in runs)
