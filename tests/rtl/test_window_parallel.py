"""`window_parallel`: sliding windows, all taps in a word."""

from __future__ import annotations

from streams import SLOW, Case, Words, gaps, packed
from windows import FRAMES, Window


def met(rows: int, kernel: int) -> str:
    """Return a check of what `no_rw_check` promises: what was written while it was read is masked."""
    return f"""
    logic [{rows - 1}:0] met;
    always_ff @(posedge clk) begin
        if (dut.read) for (int r = 0; r < {rows}; r++)
            met[r] <= dut.write && int'(dut.write_slot) == r && dut.write_address == dut.address;
        if (!rst && dut.read_valid) for (int k = 0; k < {kernel}; k++)
            if (!dut.masked[k] && met[(int'(dut.read_slot) + k) % {rows}])
                $fatal(1, "a word is read while it is written");
    end
"""


def parallel(window: Window) -> Case:
    taps = window.kernel[0] * window.kernel[1]
    # (frame, row, column, word or repeat, tap)
    sent = window.taps().transpose(0, 1, 2, 5, 3, 4).repeat(window.repeat, axis=3)
    return Case(
        "window_parallel",
        window.parameters(),
        {"in": Words(window.frames().reshape(-1).tolist(), {"in_data": window.width})},
        {"out": Words(packed(sent.reshape(-1, taps), window.width), {"out_data": taps * window.width})},
        depends=frozenset(),
        wiring=met(int(window.parameters()["ROWS"]), window.kernel[0]),
    )


SAME = (1, 1, 1, 1)
WINDOWS = [
    Window((4, 4, 1), (3, 3), padding=SAME, rows=2),
    Window((5, 7, 2), (3, 3), (2, 2), SAME, rows=3),
    Window((6, 5, 3), (2, 3), (1, 2), (0, 1, 2, 0)),
    Window((6, 4, 1), (3, 3), padding=SAME, repeat=4, rows=1),
    Window((5, 5, 1), (5, 5), padding=(2, 2, 2, 2), rows=0),
    Window((7, 8, 1), (2, 1), (3, 3)),
    Window((5, 3, 2), (1, 2), (2, 1), rows=4),
    Window((2, 3, 1), (3, 2), (1, 1), (2, 3, 2, 2), rows=2, repeat=2),
    Window((3, 2, 1), (5, 4), (2, 1), (2, 2, 2, 1)),
    Window((2, 2, 1), (2, 1), padding=(1, 15, 0, 15)),
    Window((8, 6, 1), (3, 3), (2, 2), (0, 1, 0, 1), rows=4),
]
CASES = [parallel(window) for window in WINDOWS]


def test_words_and_paths(bench):
    bench.check()


def starts(window: Window, clocks: list[int]) -> list[int]:
    """Return when the first words of all windows leave, for the clocks in which the words of the input came."""
    fold = window.size[2]
    latency = (window.kernel[1] - 1) * fold + 3
    step, turn = max(window.stride[1] * fold, window.repeat), max(window.kernel[1] * fold, window.repeat)
    found: list[int] = []
    for ready in window.ready(clocks, latency):
        first = max(ready, found[-1] + turn) if found else ready
        found += range(first, first + step * window.out[1], step)
    return found


def test_windows_come_as_fast_as_columns_are_read(bench):
    for options in ({}, SLOW):
        for window, case, seen in zip(WINDOWS, bench.cases, bench.run(**options), strict=True):
            sent = window.size[2] * window.repeat
            expected = [clock + word for clock in starts(window, seen["in"].clocks) for word in range(sent)]
            assert seen["out"].clocks == expected, case.parameters


def test_the_writer_fills_the_buffer_while_nothing_leaves(bench):
    for window, case, seen in zip(WINDOWS, bench.cases, bench.run(pauses=(0, 256)), strict=True):
        rows = min(case.parameters["ROWS"], FRAMES * window.size[0])
        assert len(seen["in"].clocks) == rows * window.size[1] * window.size[2], case.parameters
        assert gaps(seen["in"].clocks) <= {1}
