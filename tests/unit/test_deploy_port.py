"""A serial port: what is refused, and bytes over a pseudo-terminal as they are."""

from __future__ import annotations

import os
import termios
from pathlib import Path

import pytest

from codesign.deploy.serial_port import SerialPort, rates
from codesign.errors import UserError


def test_bytes_pass_as_they_are():
    outer, inner = os.openpty()
    everything = bytes(range(256)) * 3
    with SerialPort(os.ttyname(inner), 9600) as port:
        assert port.is_pseudo_terminal
        port.write(everything)
        found = b""
        while len(found) < len(everything):
            found += os.read(outer, 4096)
        assert found == everything
        os.write(outer, everything)
        found = b""
        while data := port.read(0.05):
            found += data
        assert found == everything
        os.write(outer, b"old")
        port.discard_input()
        assert port.read(0.01) == b""
        assert termios.tcgetattr(inner)[4:6] == [termios.B9600] * 2
    os.close(outer)
    os.close(inner)


def test_rates_are_those_of_the_system():
    assert {9600, 115_200} <= rates().keys()
    assert list(rates()) == sorted(rates())
    assert 0 not in rates()


@pytest.mark.parametrize(
    ("path", "baud", "said"),
    [
        ("/dev/tty-none", 115_200, r"there is no port /dev/tty-none; plug the board in"),
        ("/dev/null", 115_200, r"/dev/null is no serial port; give one such as /dev/ttyUSB0\."),
        ("/dev/null", 123_456, r"123,456 baud is no rate .* choose one of 9,600, "),
    ],
)
def test_what_is_no_port_is_told(path: str, baud: int, said: str):
    with pytest.raises(UserError, match=said):
        SerialPort(path, baud)


def test_a_folder_is_no_port(tmp_path: Path):
    with pytest.raises(UserError, match="cannot be opened"):
        SerialPort(str(tmp_path), 115_200)
