"""Dyadic re-quantisation: multiply, add, shift, clamp (`hw/hls/dyadic.h`)."""

from __future__ import annotations

from typing import cast

import numpy as np

from codesign.backends.hls4ml.kernels import (
    Kernel,
    Place,
    Table,
    bits_for,
    bits_of,
    divisors,
    nearest,
    number,
    stored,
)
from codesign.ir.ops import Dyadic, SelectDyadic


def kernel(place: Place) -> Kernel:
    """Return the kernel of a dyadic operator."""
    return multipliers(place, "dyadic", cast("Dyadic", place.node.op), {})


def multipliers(place: Place, function: str, op: Dyadic | SelectDyadic, extra: dict[str, int | str]) -> Kernel:
    """Return the kernel of a dyadic operator with or without an index.

    Parameters
    ----------
    place : Place
    function : str
        Kernel of `hw/hls`.
    op : Dyadic or SelectDyadic
    extra : dict
        More members of the configuration struct.
    """
    wide = op.intermediate_type(place.x)
    constant = op.bias + op.half
    # One bit more than either has room for an unsigned value in a signed type.
    clamp = bits_for(min(wide.min, op.type.min, -1), max(wide.max, op.type.max))
    fold = nearest(place.reuse_factor, reuse_factors(place))
    name = place.node.name
    multiplier_type, constant_type = bits_of(op.multiplier), bits_of(constant)
    shift_type = bits_of(op.shift)
    config: dict[str, int | str] = {
        **extra,
        "size": place.x.size,
        "rows": op.multiplier.shape[-1],
        "pe": place.pack // fold,
        "multiplier_t": number(multiplier_type),
        "wide_t": number(wide),
        "shift_t": number(shift_type),
        "clamp_t": number(clamp),
        "multiplier_store_t": stored(multiplier_type),
        "constant_store_t": stored(constant_type),
        "shift_store_t": stored(shift_type),
    }
    code = (
        f"static clamp_t low() {{ return clamp_t({op.type.min}LL); }}\n"
        f"static clamp_t high() {{ return clamp_t({op.type.max}LL); }}"
    )
    whose = "channel" if op.multiplier.ndim == 1 else "index and channel"
    tables = (
        Table(f"{name}_multiplier", op.multiplier, multiplier_type, f"{name}: multiplier of each {whose}"),
        Table(f"{name}_constant", constant, constant_type, f"{name}: bias of each {whose} plus half of 2^shift"),
        Table(f"{name}_shift", op.shift, shift_type, f"{name}: right shift of each {whose}"),
    )
    return Kernel(function, config, tables, code, fold)


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pack, ascending."""
    return divisors(place.pack)


def needed(place: Place) -> list[np.ndarray]:
    """Return the tokens read when each token is written: one for one."""
    return [np.arange(1, place.x.size // place.pack + 1)]
