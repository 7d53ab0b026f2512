"""`threshold`: the number of thresholds that an input reaches."""

from __future__ import annotations

from requantise import Table, thresholds
from streams import Case, Words, gaps

from codesign.ir import IntType


def case(table: Table) -> Case:
    (entering, width), (leaving, width_out) = table.entering, table.leaving
    choice = max(1, (table.parameters["ENTRIES"] - 1).bit_length())
    words = [word | entry << width for word, entry in zip(entering, table.entry.tolist(), strict=True)]
    return Case(
        "threshold",
        table.parameters,
        {"in": Words(words, {"in_data": width, "entry": choice})},
        {"out": Words(leaving, {"out_data": width_out})},
        files=table.files,
        latency=3,
    )


CASES = [
    case(table)
    for table in (
        thresholds(1, IntType(8, True), 7, 0, 3),
        thresholds(3, IntType(6, True), 3, -2, 2, fold=4, style="distributed"),
        thresholds(2, IntType(5, False), 15, 0, 4, fold=40, style="block"),
        thresholds(2, IntType(1, False), 1, 0, 1),
        thresholds(1, IntType(1, True), 1, -1, 1, fold=2),
        thresholds(1, IntType(12, True), 255, -128, 8, fold=2),
        thresholds(2, IntType(7, True), 3, 0, 2, fold=3, entries=5),
        # Fewer thresholds than the output has values for.
        thresholds(2, IntType(9, False), 5, 2, 4, entries=2, style="distributed"),
    )
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
