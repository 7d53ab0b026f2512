"""Faults of the shell's hardware that the tests of the twin must find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codesign.deploy.protocol import Code
from codesign.errors import UserError
from codesign.toolchain import verilator

from . import test_recovery as recovery
from . import test_serial as serial
from .conftest import network
from .twin import Board, Twin

# Each: file, what is replaced by what, and a test that must fail.
MUTATIONS: dict[str, tuple[str, str, str, Callable[[Board, Twin], Any]]] = {
    "the checksum is not looked at": (
        "request_parser.sv",
        "if (!good || aborted)",
        "if (aborted)",
        lambda board, twin: recovery.disturbed(board, twin, *recovery.TO_DEVICE["a corrupted byte of the frame"]),
    ),
    "the length is not looked at": (
        "request_parser.sv",
        "in_data != length) wrong <= 1'b1",
        "in_data != length) wrong <= 1'b0",
        lambda board, twin: serial.test_wrong_requests_are_refused_and_leave_nothing(
            board, twin, serial.protocol.framed(b"\x11\x03\x07\x00" + bytes(8)), Code.WRONG_LENGTH
        ),
    ),
    "a dropped frame leaves its bytes": (
        "frame_memory.sv",
        "if (!busy && (restart || commit)) address <= '0;",
        "if (!busy && commit) address <= '0;",
        lambda board, twin: recovery.test_a_truncated_request(board, twin, 8),
    ),
    "half a word stays": (
        "frame_memory.sv",
        "if (rst || restart) part <= '0;",
        "if (rst) part <= '0;",
        lambda board, twin: recovery.test_a_truncated_request(board, twin, 8),
    ),
    "a flag is not escaped": (
        "framer.sv",
        "content && (plain == FLAG || plain == ESCAPE)",
        "content && plain == ESCAPE",
        lambda board, twin: serial.test_every_integer_is_golden(board, twin),
    ),
    "a break is not seen": (
        "uart_shell.sv",
        "if (line_break || !locked) waited <= '0;",
        "if (!locked) waited <= '0;",
        lambda board, twin: serial.test_a_break_resets_the_device_and_its_network(board, twin),
    ),
    "garbage before the first flag is a packet": (
        "deframer.sv",
        "if (rst) {synchronised, begun, escaped} <= '0;",
        "if (rst) {synchronised, begun, escaped} <= 3'b100;",
        lambda board, twin: serial.test_what_is_on_the_line_after_power_up_is_no_packet(board, twin),
    ),
    "the number is that of the request before": (
        "reply_writer.sv",
        "owed_number <= number;",
        "if (pass) owed_number <= number;",
        lambda board, twin: serial.test_every_integer_is_golden(board, twin),
    ),
    "a frame is taken while another one is worked on": (
        "uart_shell.sv",
        ".busy(sending || answering)",
        ".busy(1'b0)",
        lambda board, twin: serial.test_a_host_that_does_not_wait_is_told_so_and_no_answer_is_wrong(board, twin),
    ),
    "the sizes of frames are told the wrong way round": (
        "uart_shell.sv",
        "16'(OUT_BYTES), 16'(IN_BYTES)",
        "16'(IN_BYTES), 16'(OUT_BYTES)",
        lambda board, twin: serial.test_identity(board, twin),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_of_the_hardware_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    if verilator.locate() is None:
        pytest.skip("needs Verilator, which comes with the extra rtl")
    file, old, new, check = MUTATIONS[name]
    monkeypatch.setattr(serial, "PATIENT_S", 1.0)
    board = Board(tmp_path / "project", network(), change=(file, old, new))
    with Twin(board) as twin, pytest.raises((AssertionError, UserError, ValueError)):
        check(board, twin)
