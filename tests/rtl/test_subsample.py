"""`subsample`: every STRIDE_H-th row and STRIDE_W-th column."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps

FRAMES = 3


def subsample(rows: int, columns: int, fold: int, stride: tuple[int, int], rows_out: int, columns_out: int) -> Case:
    width = 9
    words = np.random.default_rng(rows).integers(0, 1 << width, (FRAMES, rows, columns, fold))
    numbers = np.arange(words.size).reshape(words.shape)
    kept = numbers[:, :: stride[0], :: stride[1]][:, :rows_out, :columns_out].reshape(-1)
    return Case(
        "subsample",
        {
            "WIDTH": width,
            "ROWS_IN": rows,
            "COLUMNS_IN": columns,
            "FOLD": fold,
            "STRIDE_H": stride[0],
            "STRIDE_W": stride[1],
            "ROWS_OUT": rows_out,
            "COLUMNS_OUT": columns_out,
        },
        {"in": Words(words.reshape(-1).tolist(), {"in_data": width})},
        {"out": Words(words.reshape(-1)[kept].tolist(), {"out_data": width})},
        latency=0,
        needs=kept.tolist(),
        depends=frozenset({("in", "out"), ("out", "in")}),
    )


CASES = [
    subsample(4, 4, 1, (2, 2), 2, 2),
    subsample(5, 7, 2, (2, 3), 3, 3),
    subsample(6, 5, 3, (1, 2), 6, 3),
    # Fewer than the strides give: the rest is dropped.
    subsample(7, 8, 1, (3, 1), 2, 5),
    subsample(1, 1, 4, (2, 2), 1, 1),
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}


def test_words_that_are_dropped_wait_for_nobody(bench):
    for case, seen in zip(bench.cases, bench.run(pauses=(0, 200)), strict=True):
        clocks, kept = seen["in"].clocks, set(case.needs)
        assert all(clocks[word] == clocks[word - 1] + 1 for word in range(1, len(clocks)) if word not in kept)
