"""`select_dyadic`: constants that an index chooses for each frame."""

from __future__ import annotations

from requantise import dyadics
from selection import case
from streams import gaps

from codesign.ir import IntType

CASES = [
    case("select_dyadic", table, frame, latency=4)
    for frame, table in (
        (6, dyadics(2, IntType(9, True), 8, (4, 8), IntType(5, True), fold=3, entries=5, frame=6)),
        (4, dyadics(1, IntType(6, False), 5, (2, 9), IntType(4, False), entries=2, style="distributed", frame=4)),
        (2, dyadics(3, IntType(4, True), 6, (0, 5), IntType(8, True), fold=2, entries=16, style="block", frame=2)),
        (3, dyadics(1, IntType(6, False), 4, (3, 3), IntType(7, True), fold=3, frame=3)),
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
