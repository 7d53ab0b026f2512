"""About how much a block of `hw/rtl` takes, to choose among folds: LUTs, block memories and multiplier blocks.

A function is named as the module it is about. The constants come from netlists of Yosys for 7-series parts; they say
which of two folds is the smaller one, not what a design takes in the end, for which there is synthesis. Where a
multiplication takes a multiplier block is known of these parts alone; other families need wider operands. What a
matrix-vector unit takes is worked out where its tables and multipliers are, in `mac.py`.

Memories are counted twice: in block memories of 36 Kib ("bram36") and LUTs that hold words, and as iCE40 has them, in
block memories of 4 Kib ("bram4") and flip-flops, one in a logic cell, as `codesign.estimate.memory` knows them.
`settled` keeps one of both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from codesign.backends.rtl import mac, packed
from codesign.backends.rtl.unit import Block, Packed, Unit
from codesign.estimate.blocks import pool_rows as pooled
from codesign.estimate.memory import ICE40, Memory
from codesign.ir import IntType

Cost = dict[str, float]

CONTROL = 6
"""LUTs of a handshake with its counters."""
WALK = 70
"""LUTs of the row and column counters of a window."""
SOFT = "soft"
"""Among costs: the LUTs that multiplications take where they get no multiplier blocks."""
SMALL = "small"
"""Among costs: the LUTs more, where block memories are of 4 Kib."""
DISTRIBUTED = 1024
"""Bits of a memory up to which LUTs hold it."""


def unit(hardware: Unit, blocks: bool = True, small: bool = False) -> Cost:
    """Return what the blocks of a node take.

    Where `Unit.luts` is given, it is for all that calculates; a multiplier block in it counts as `mac.DSP_LUTS`, unless
    the unit was made for a fold without such blocks.

    Parameters
    ----------
    hardware : Unit
    blocks : bool
        Multiplications may take multiplier blocks, as in the fold that the unit was made for.
    small : bool
        As for `settled`.
    """
    parts = [block(one) for one in hardware.blocks]
    if hardware.luts:
        parts.append({"lut": hardware.luts})
        counted = added(block(one) for one in hardware.blocks if one.module.startswith("mvau"))
        taken = counted.get("dsp", 0.0)
        # Without blocks the LUTs are those of what multiplies.
        parts.append({"lut": -taken * mac.DSP_LUTS} if blocks else {"dsp": -taken, SOFT: -counted.get(SOFT, 0.0)})
    total = added(parts)
    soft = total.pop(SOFT, 0.0)
    if not blocks and total.pop("dsp", 0.0):
        total["lut"] += soft
    return settled(total, small)


def settled(cost: Cost, small: bool) -> Cost:
    """Return a cost with memories counted one way.

    Parameters
    ----------
    cost : dict of str to float
    small : bool
        Block memories are of 4 Kib, and no LUT holds words.
    """
    rest = {name: value for name, value in cost.items() if name not in (SMALL, "bram36" if small else "bram4")}
    return added([rest, {"lut": cost[SMALL]}]) if small and SMALL in cost else rest


def added(costs: Iterable[Mapping[str, float]]) -> Cost:
    """Return the sum of costs."""
    total: Cost = {}
    for cost in costs:
        for name, value in cost.items():
            total[name] = total.get(name, 0.0) + value
    return total


def block(one: Block) -> Cost:
    """Return what a block takes."""
    about = MODULES.get(one.module)
    return about(cast(Mapping[str, Any], one.parameters)) if about else {}


def memory(words: int, bits: int, clocked: bool = True) -> Cost:
    """Return what a memory with a port to write and one to read takes: block memories, or LUTs for a small one.

    Where flip-flops hold it, LUTs choose among its words.

    Parameters
    ----------
    words, bits : int
    clocked : bool
        Words are read by a clock; if not, block memories of 4 Kib do not hold them.
    """
    if words * bits > DISTRIBUTED and words > 64:
        found = {"bram36": block_memories(words, bits)}
    else:
        # Four LUTs hold 32 words of six bits, or 64 of three.
        found = {"lut": 4.0 * (math.ceil(bits / 6) if words <= 32 else math.ceil(bits / 3) * math.ceil(words / 64))}
    small = ICE40.either(words, bits) if clocked else ICE40.unclocked(words, bits)
    cells = small.registers + (small.banks - 1) * bits if small.registers else 0.0
    return {**found, "bram4": _small_blocks(small), SMALL: cells - found.get("lut", 0.0)}


def block_memories(words: int, bits: int) -> float:
    """Return how many block memories of 36 Kib hold so many words; half a one where 18 Kib do (UG473)."""
    shapes = [(1 << k, width) for k, width in ((14, 1), (13, 2), (12, 4), (11, 9), (10, 18), (9, 36))]
    return min(math.ceil(words / deep) * math.ceil(bits / wide) for deep, wide in shapes) / 2


def stream_fifo(p: Mapping[str, Any]) -> Cost:
    """Two registers with a choice: how deep it must be is known when folds are."""
    return {"lut": p["WIDTH"] + CONTROL}


def lane_adapter(p: Mapping[str, Any]) -> Cost:
    """A register that shifts, towards smaller words; registers alone, towards larger ones."""
    return {"lut": CONTROL + (p["IN"] * p["BITS"] if p["IN"] > p["OUT"] else 0)}


def subsample(p: Mapping[str, Any]) -> Cost:
    """Counters."""
    return {"lut": 20.0}


def window_serial(p: Mapping[str, Any]) -> Cost:
    """A memory of rows, counters, and zeros in the padding."""
    padded = p["WIDTH"] if p["PAD_TOP"] or p["PAD_LEFT"] or p["KERNEL_H"] > 1 else 0
    return added([memory(p["ROWS"] * p["COLUMNS_IN"] * p["FOLD"], p["WIDTH"]), {"lut": WALK + padded}])


def window_parallel(p: Mapping[str, Any]) -> Cost:
    """A memory for each row, and counters; the registers of the window count with what reads it."""
    rows = memory(p["COLUMNS_IN"] * p["FOLD"], p["WIDTH"])
    return added([*[rows] * p["ROWS"], {"lut": WALK + p["WIDTH"] * p["KERNEL_H"]}])


def depthwise(p: Mapping[str, Any]) -> Cost:
    """A multiplier, or a multiplier block, and an accumulator for each lane."""
    taken = _products(p["X"], p["W"], p["LANES"])
    product = 0 if taken else p["X"] * p["W"]
    return added([taken, {"lut": CONTROL + p["LANES"] * (product + p["ACC"])}])


def mvau(p: Mapping[str, Any]) -> Cost:
    """Multiplier blocks and block memories alone: what it takes in LUTs, `mac.py` knows."""
    widths = p["W"].values if isinstance(p["W"], Packed) else (p["W"],) * p["PE"]
    taken = added(_products(p["X"], bits, p["SIMD"]) for bits in widths if bits)
    return added([taken, _rom(p, p["FOLD_IN"] * p["FOLD_OUT"], p["SIMD"] * sum(widths))])


def mvau_binary(p: Mapping[str, Any]) -> Cost:
    """Block memories alone, as `mvau`."""
    return _rom(p, p["FOLD_IN"] * p["FOLD_OUT"], p["PE"] * p["SIMD"])


def mvau_shift(p: Mapping[str, Any]) -> Cost:
    """Block memories alone, as `mvau`."""
    return _rom(p, p["FOLD_IN"] * p["FOLD_OUT"], p["PE"] * p["SIMD"] * (p["K"] + 2))


def mvau_packed(p: Mapping[str, Any]) -> Cost:
    """Multiplier blocks and block memories alone, as `mvau`."""
    blocks = packed.blocks(p["PE"], p["GROUPS"], p["FIELD"], p["W"], IntType(p["X"], p["X_SIGNED"]))
    taken = {"dsp": float(blocks * p["SIMD"])} if blocks else {}
    return added([taken, _rom(p, p["FOLD_IN"] * p["FOLD_OUT"], p["PE"] * p["SIMD"] * p["W"])])


def mvau_shared(p: Mapping[str, Any]) -> Cost:
    """Multiplier blocks and block memories alone, as `mvau`; its products take blocks however small they are."""
    taken = {"dsp": float(p["GROUPS"] * p["SIMD"])}
    return added([taken, _rom(p, p["FOLD_IN"] * p["FOLD_OUT"], p["PE"] * p["SIMD"] * p["W"])])


def mvau_lanes(p: Mapping[str, Any]) -> Cost:
    """As `mvau`."""
    return mvau(p)


def threshold(p: Mapping[str, Any]) -> Cost:
    """Block memories alone, as `mvau`."""
    return _rom(p, p["FOLD"] * p["ENTRIES"], p["LANES"] * p["COUNT"] * p["T"])


def select_threshold(p: Mapping[str, Any]) -> Cost:
    """As `threshold`, and the index of a frame."""
    return added([threshold(p), {"lut": 20.0}])


def threshold_stage(p: Mapping[str, Any]) -> Cost:
    """As `threshold`, where there is one lane."""
    return _rom(p, p["FOLD"] << p["STAGE"], p["T"])


def dyadic(p: Mapping[str, Any]) -> Cost:
    """A multiplier block, a shifter and a clamp for each lane; constants alone where all channels have the same."""
    words = p["FOLD"] * p["ENTRIES"]
    constants = p["M"] + p["C"] + p["S"]
    shift = 10 if words == 1 else 2 * p["WIDE"]
    soft = float(p["LANES"] * p["X"] * p["M"])
    taken = {"dsp": float(p["LANES"]), SOFT: soft, "lut": CONTROL + p["LANES"] * shift}
    if p["STYLE"] == "block":
        return added([taken, _rom(p, words, p["LANES"] * constants)])
    return added([taken, {"lut": p["LANES"] * constants * (math.ceil(words / 64) if words > 16 else 0)}])


def select_dyadic(p: Mapping[str, Any]) -> Cost:
    """The same, and the index of a frame."""
    return added([dyadic(p), {"lut": 20.0}])


def add(p: Mapping[str, Any]) -> Cost:
    """An adder for each lane."""
    return {"lut": CONTROL + p["LANES"] * p["Y"]}


def pool_rows(p: Mapping[str, Any]) -> Cost:
    """Results so far of a row of outputs, and an adder or a comparison for each lane."""
    bits = p["LANES"] * p["Y"]
    return added([memory(pooled.words(p), bits, pooled.clocked(p)), {"lut": 25 + 1.5 * bits}])


def reduce(p: Mapping[str, Any]) -> Cost:
    """The result so far, and an adder or a comparison for each lane."""
    return {"lut": CONTROL + 1.5 * p["LANES"] * p["Y"]}


MODULES: Mapping[str, Callable[[Mapping[str, Any]], Cost]] = {
    function.__name__: function
    for function in (
        stream_fifo,
        lane_adapter,
        subsample,
        window_serial,
        window_parallel,
        depthwise,
        dyadic,
        select_dyadic,
        add,
        pool_rows,
        reduce,
        mvau,
        mvau_lanes,
        mvau_packed,
        mvau_shared,
        mvau_binary,
        mvau_shift,
        threshold,
        select_threshold,
        threshold_stage,
    )
}


def _rom(p: Mapping[str, Any], words: int, bits: int) -> Cost:
    if p["STYLE"] != "block":
        return {}
    return {"bram36": block_memories(words, bits), "bram4": _small_blocks(ICE40.block(words, bits, writes=False))}


def _small_blocks(made: Memory) -> float:
    return float(round(9 * made.bram36))


def _products(a: int, b: int, count: int) -> Cost:
    """Return what products of a by b bits take: a block each, where Yosys takes one."""
    return {"dsp": float(count), SOFT: float(count * a * b)} if a + b >= mac.DSP_BITS else {}
