"""`threshold_stage`: one step of a binary search among thresholds."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps, integers, packed

from codesign.backends.rtl import memory
from codesign.ir import IntType


def case(
    lanes: int, x: IntType, stage: int, fold: int = 1, style: str = "logic", last: int | None = None, y: int = 8
) -> Case:
    """A step with any thresholds at all: nothing in it needs them sorted."""
    rng = np.random.default_rng(lanes + stage + fold)
    t = IntType.for_range(min(x.min, -1), x.max + 1)
    table = rng.integers(x.min, x.max + 2, (fold, lanes, 1 << stage))
    values = integers(rng, x.bits, x.signed, (80, lanes))
    number = rng.integers(0, 1 << stage, (80, lanes))
    chosen = table[np.arange(80)[:, None] % fold, np.arange(lanes), number]
    after = 2 * number + (values >= chosen)
    mask = (1 << x.bits) - 1
    entering, bits = (number << x.bits) | (values & mask), stage + x.bits
    leaving, bits_out = ((after << x.bits) | (values & mask), bits + 1) if last is None else (after + last, y)
    padded = np.zeros((fold, 1 << (lanes - 1).bit_length(), 1 << stage), dtype=np.int64)
    padded[:, :lanes] = table
    parameters = {
        "LANES": lanes,
        "X": x.bits,
        "X_SIGNED": x.signed,
        "T": t.bits,
        "STAGE": stage,
        "LAST": last is not None,
        "OFFSET": last or 0,
        "Y": y,
        "FOLD": fold,
        "THRESHOLDS": "thresholds",
        "STYLE": style,
    }
    return Case(
        "threshold_stage",
        parameters,
        {"in": Words(packed(entering, bits), {"in_data": lanes * bits})},
        {"out": Words(packed(leaving, bits_out), {"out_data": lanes * bits_out})},
        files={"thresholds": memory.words(padded.reshape(-1, 1), t.bits)},
        latency=1,
    )


CASES = [
    case(1, IntType(8, True), 0),
    case(3, IntType(5, False), 0, fold=4),
    case(2, IntType(6, True), 2, fold=3, style="distributed"),
    case(1, IntType(12, True), 5, fold=8, style="block"),
    case(1, IntType(1, False), 0, last=0, y=1),
    case(2, IntType(7, True), 1, last=-2, y=3),
    case(3, IntType(4, False), 3, fold=5, last=7, y=5),
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
