"""`pool_rows`: sum or maximum over windows that do not overlap."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps, integers, packed

FRAMES = 3


def pool(
    lanes: int, bits: int, signed: bool, size: tuple[int, int, int], kernel: tuple[int, int], greatest: bool, y: int
) -> Case:
    (rows, columns, fold), (height, width) = size, kernel
    x = integers(np.random.default_rng(rows), bits, signed, (FRAMES, rows, columns, fold, lanes))
    numbers = np.arange(FRAMES * rows * columns * fold).reshape(FRAMES, rows, columns, fold)
    down, across = rows // height, columns // width
    windows = x[:, : down * height, : across * width].reshape(FRAMES, down, height, across, width, fold, lanes)
    result = windows.max(axis=(2, 4)) if greatest else windows.sum(axis=(2, 4))
    return Case(
        "pool_rows",
        {
            "LANES": lanes,
            "X": bits,
            "X_SIGNED": signed,
            "ROWS_IN": rows,
            "COLUMNS_IN": columns,
            "FOLD": fold,
            "KERNEL_H": height,
            "KERNEL_W": width,
            "MAX": greatest,
            "Y": y,
        },
        {"in": Words(packed(x.reshape(-1, lanes), bits), {"in_data": lanes * bits})},
        {"out": Words(packed(result.reshape(-1, lanes), y), {"out_data": lanes * y})},
        latency=1,
        needs=numbers[:, height - 1 :: height, width - 1 :: width].reshape(-1).tolist(),
    )


CASES = [
    pool(1, 8, False, (4, 4, 1), (2, 2), False, 10),
    pool(2, 4, True, (6, 6, 2), (3, 2), False, 7),
    # Rows and columns beyond the last window.
    pool(3, 3, True, (5, 7, 1), (2, 3), True, 3),
    pool(1, 5, False, (7, 5, 3), (3, 2), True, 5),
    pool(2, 6, False, (3, 4, 2), (3, 4), False, 10),
    pool(1, 4, True, (2, 3, 1), (1, 1), False, 4),
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
