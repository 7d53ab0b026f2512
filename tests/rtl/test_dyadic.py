"""`dyadic`: multiply, add, shift and clamp."""

from __future__ import annotations

from requantise import Table, dyadics
from streams import Case, Words, gaps

from codesign.ir import IntType


def case(table: Table) -> Case:
    (entering, width), (leaving, width_out) = table.entering, table.leaving
    choice = max(1, (table.parameters["ENTRIES"] - 1).bit_length())
    words = [word | entry << width for word, entry in zip(entering, table.entry.tolist(), strict=True)]
    return Case(
        "dyadic",
        table.parameters,
        {"in": Words(words, {"in_data": width, "entry": choice})},
        {"out": Words(leaving, {"out_data": width_out})},
        files=table.files,
        latency=4,
    )


CASES = [
    case(table)
    for table in (
        dyadics(1, IntType(16, True), 16, (9, 9), IntType(8, True)),
        dyadics(3, IntType(10, True), 5, (0, 11), IntType(6, True), fold=3, style="distributed"),
        dyadics(2, IntType(8, False), 9, (3, 7), IntType(7, False), fold=40, style="block"),
        # Neither shifted nor clamped.
        dyadics(2, IntType(4, True), 3, (0, 0), IntType(16, True)),
        dyadics(1, IntType(1, False), 2, (1, 1), IntType(1, False), fold=2),
        dyadics(1, IntType(24, True), 24, (20, 46), IntType(30, True), fold=2),
        dyadics(2, IntType(9, True), 8, (4, 8), IntType(5, True), fold=3, entries=5),
        dyadics(1, IntType(7, False), 6, (2, 9), IntType(4, False), entries=2, style="distributed"),
    )
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
