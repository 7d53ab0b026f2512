"""`frame_index`: the index of a frame beside each of its words."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps


def frame_index(width: int, index: int, words: int) -> Case:
    rng = np.random.default_rng(words)
    frames = 200 // words
    data = rng.integers(0, 1 << width, frames * words)
    entries = rng.integers(0, 1 << index, frames)
    together = data | entries.repeat(words) << width
    return Case(
        "frame_index",
        {"WIDTH": width, "INDEX": index, "WORDS": words},
        {"in": Words(data.tolist(), {"in_data": width}), "index": Words(entries.tolist(), {"index_data": index})},
        {"out": Words(together.tolist(), {"out_data": width, "entry": index})},
        latency=0,
        depends=frozenset({("in", "out"), ("out", "in")}),
    )


CASES = [frame_index(8, 4, 1), frame_index(3, 1, 2), frame_index(11, 2, 5), frame_index(1, 6, 16)]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for case, seen in zip(bench.cases, bench.run(), strict=True):
        # An index comes every other clock.
        assert gaps(seen["in"].clocks) == {2 if case.parameters["WORDS"] == 1 else 1}


def test_words_wait_two_clocks_for_their_index(bench):
    for seen in bench.run():
        assert seen["out"].clocks[0] == seen["index"].clocks[0] + 2


def test_an_index_is_taken_early(bench):
    for case, seen in zip(bench.cases, bench.run(), strict=True):
        # That of the next frame with the first words of a frame; it need not be there for the last one.
        frame = case.parameters["WORDS"]
        assert seen["index"].clocks[1] <= seen["in"].clocks[min(1, frame - 1)]
