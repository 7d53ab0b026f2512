"""`arg_max`: the index of the greatest feature, the lowest on a tie."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps, integers, packed


def arg_max(bits: int, signed: bool, features: int, y: int) -> Case:
    # Extremes come often, and so do ties.
    frames = integers(np.random.default_rng(bits), bits, signed, (40, features))
    return Case(
        "arg_max",
        {"X": bits, "X_SIGNED": signed, "FEATURES": features, "Y": y},
        {"in": Words(packed(frames.reshape(-1, 1), bits), {"in_data": bits})},
        {"out": Words(frames.argmax(axis=1).tolist(), {"out_data": y})},
        latency=1,
        needs=range(features - 1, 40 * features, features),
    )


CASES = [
    arg_max(16, True, 10, 4),
    arg_max(3, True, 10, 4),
    arg_max(2, False, 7, 3),
    arg_max(8, False, 16, 4),
    arg_max(1, True, 2, 1),
    arg_max(5, True, 1, 1),
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
