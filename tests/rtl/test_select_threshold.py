"""`select_threshold`: thresholds that an index chooses for each frame."""

from __future__ import annotations

from requantise import thresholds
from selection import case
from streams import gaps

from codesign.ir import IntType

CASES = [
    case("select_threshold", table, frame, latency=3)
    for frame, table in (
        (6, thresholds(2, IntType(7, True), 3, 0, 2, fold=3, entries=5, frame=6)),
        (4, thresholds(1, IntType(5, False), 7, -4, 3, entries=2, style="distributed", frame=4)),
        (2, thresholds(3, IntType(4, True), 1, 0, 1, fold=2, entries=16, style="block", frame=2)),
        (3, thresholds(1, IntType(6, False), 3, 0, 2, fold=3, entries=1, frame=3)),
    )
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}


def test_words_wait_two_clocks_for_their_index(bench):
    for seen in bench.run():
        assert seen["in"].clocks[0] == seen["index"].clocks[0] + 2
