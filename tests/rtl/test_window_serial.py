"""`window_serial`: sliding windows, one tap at a time."""

from __future__ import annotations

from streams import SLOW, Case, Words, gaps
from windows import FRAMES, Window

LATENCY = 2
MET = """
    // What `no_rw_check` promises: a tap that was written while it was read is not sent, or masked.
    logic met;
    always_ff @(posedge clk) begin
        if (dut.advance) met <= dut.write && dut.write_address == dut.read_address;
        if (!rst && met && dut.out_valid && !dut.masked) $fatal(1, "a tap is read while it is written");
    end
"""


def serial(window: Window, groups: int = 1, style: str = "distributed") -> Case:
    frames, rows, columns, height, width, fold = window.taps().shape
    # (frame, row, column, group, repeat, tap, word of the group)
    taps = window.taps().reshape(frames, rows, columns, height, width, groups, fold // groups)
    sent = taps.transpose(0, 1, 2, 5, 3, 4, 6)[:, :, :, :, None].repeat(window.repeat, axis=4)
    return Case(
        "window_serial",
        window.parameters() | {"GROUPS": groups, "STYLE": style},
        {"in": Words(window.frames().reshape(-1).tolist(), {"in_data": window.width})},
        {"out": Words(sent.reshape(-1).tolist(), {"out_data": window.width})},
        depends=frozenset(),
        wiring=MET,
    )


SAME = (1, 1, 1, 1)
WINDOWS = [
    (Window((4, 4, 1), (3, 3), padding=SAME, rows=2), 1, "distributed"),
    (Window((5, 7, 2), (3, 3), (2, 2), SAME, repeat=3), 1, "block"),
    (Window((6, 5, 4), (2, 3), (1, 2), (0, 1, 2, 0), repeat=2), 2, "distributed"),
    (Window((6, 4, 3), (3, 3), padding=SAME, rows=3), 3, "block"),
    # No buffer beyond what a row of outputs needs.
    (Window((5, 5, 1), (5, 5), padding=(2, 2, 2, 2), rows=0), 1, "distributed"),
    (Window((1, 1, 6), (1, 1), repeat=4), 1, "distributed"),
    # Rows and columns that no window needs.
    (Window((7, 8, 1), (2, 1), (3, 3)), 1, "distributed"),
    (Window((5, 3, 2), (1, 1), (2, 2), rows=4), 1, "distributed"),
    # Windows that lie in the padding, and a kernel greater than the frame.
    (Window((2, 3, 1), (3, 2), (1, 1), (2, 3, 2, 2), rows=2), 1, "distributed"),
    (Window((3, 2, 1), (5, 4), (2, 1), (2, 2, 2, 1)), 1, "distributed"),
    (Window((2, 2, 1), (2, 1), padding=(1, 15, 0, 15)), 1, "block"),
]
CASES = [serial(*window) for window in WINDOWS]


def test_words_and_paths(bench):
    bench.check()


def test_taps_come_one_per_clock_once_their_rows_are_there(bench):
    for options in ({}, SLOW):
        for (window, *_), case, seen in zip(WINDOWS, bench.cases, bench.run(**options), strict=True):
            beats = len(seen["out"].clocks) // (FRAMES * window.out[0])
            expected: list[int] = []
            clock = -1
            for ready in window.ready(seen["in"].clocks, LATENCY):
                clock = max(clock + 1, ready)
                expected += range(clock, clock + beats)
                clock += beats - 1
            # A source without words is at rest; taps in the padding before the first row need none.
            first = next(i for i, count in enumerate(window.complete()) if count) * beats
            assert seen["out"].clocks[first:] == expected[first:], case.parameters


def test_the_writer_fills_the_buffer_while_nothing_leaves(bench):
    for (window, *_), case, seen in zip(WINDOWS, bench.cases, bench.run(pauses=(0, 256)), strict=True):
        row = window.size[1] * window.size[2]
        rows = min(case.parameters["ROWS"], FRAMES * window.size[0])
        assert len(seen["in"].clocks) == rows * row, case.parameters
        assert gaps(seen["in"].clocks) <= {1}
