"""Boards and their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign import boards
from codesign.errors import UserError

GOOD = """
title = "A board"
vendor = "V"
family = "f"
part = "xc1"
toolchain = "vivado"
clock_mhz = 50.0
lut = 100
ff = 200
bram36 = 3
dsp = 4
"""
PROCESSOR = """
[processor]
crystal_mhz = 50.0
ddr_part = "MT41J256M16 RE-125"
ddr_bits = 16
ddr_mhz = 525.0
ddr_mib = 512
ddr_board_delay_ns = [0.223, 0.212, 0.085, 0.092]
ddr_dqs_to_clock_ns = [0.040, 0.058, -0.009, -0.033]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODESIGN_BOARDS", str(tmp_path))
    return tmp_path


def test_every_board_loads_and_states_its_sources():
    assert {"pynq-z2", "zcu104", "kv260", "arty-a7-100", "ulx3s-12f", "ulx3s-85f"} <= set(boards.names())
    for name in boards.names():
        board = boards.load(name)
        assert board.name == name
        assert board.sources
        assert min(board.resources()["lut"], board.ff, board.dsp) > 0


def test_the_pynq_z2_holds_what_its_data_sheet_says():
    board = boards.load("pynq-z2")
    assert board.part == "xc7z020clg400-1"
    assert board.resources() == {"lut": 53_200, "ff": 106_400, "bram36": 140, "dsp": 220, "uram": 0}
    assert board.clock_period_ns == pytest.approx(10.0)


def test_an_ecp5_counts_its_memories_in_18_kib():
    assert boards.load("ulx3s-85f").resources()["bram18"] == 208
    assert boards.load("ulx3s-85f").bram36 is None


def test_an_ice40_counts_its_memories_in_4_kib():
    board = boards.load("icebreaker")
    assert board.resources() == {"lut": 5280, "ff": 5280, "bram4": 30, "dsp": 8, "uram": 0}
    assert board.memories == (30, 4)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("pynq_z2", "did you mean pynq-z2"),
        ("zcu105", "zcu104"),
        ("../pynq-z2", "pynq-z2"),
        ("", "choose one of"),
    ],
)
def test_an_unknown_board_is_told_with_the_close_ones(typed: str, hint: str):
    with pytest.raises(UserError, match=hint):
        boards.load(typed)


def test_a_board_of_the_users_own_is_found(own: Path):
    (own / "mine.toml").write_text(GOOD)
    assert boards.load("mine").lut == 100
    assert "pynq-z2" in boards.names()


def test_a_zynq_may_tell_its_memory(own: Path):
    (own / "mine.toml").write_text(GOOD + PROCESSOR)
    assert boards.load("mine").processor == boards.load("pynq-z2").processor
    assert boards.load("zcu104").processor is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("lut = 100", 'lut = "many"'), "the field 'lut' must be int, found str"),
        (("lut = 100", "lut = -1"), "lut"),
        (("lut = 100", "lutz = 100"), "unknown field 'lutz'"),
        (("dsp = 4", ""), "the field 'dsp' is missing"),
        (("bram36 = 3", ""), "either the field 'bram36' or the field 'bram18'"),
        (("bram36 = 3", "bram36 = 3\nbram18 = 6"), "either the field 'bram36' or the field 'bram18'"),
        (("bram36 = 3", "bram36 = 3\nbram4 = 6"), "the field 'bram4'"),
        (("dsp = 4", 'dsp = 4\n[shell]\nclock = "G2"\nrx = "M1"\ntx = "L4"'), "the field 'shell.led' is missing"),
        (("dsp = 4", 'dsp = 4\n[shell]\nclock = "G2; x"\nrx = "M1"\ntx = "L4"\nled = "A1"'), "clock"),
        (("dsp = 4", "dsp = 4\n[processor]\ncrystal_mhz = 50.0"), "the field 'processor.ddr_part' is missing"),
        (("dsp = 4", f"dsp = 4\n{PROCESSOR.replace('RE-125', '} ; exit ; {')}"), "ddr_part"),
        (("dsp = 4", f"dsp = 4\n{PROCESSOR.replace('= 16', '= 64')}"), "ddr_bits"),
        (("dsp = 4", f"dsp = 4\n{PROCESSOR.replace('0.223, ', '')}"), "ddr_board_delay_ns"),
        (('part = "xc1"', 'part = "xc1; exec rm"'), "part"),
        (("lut = 100", "lut = = 100"), "is not valid TOML"),
        (("lut = 100", "lut = 1" + "0" * 5000), "thousands of"),
        (("lut = 100", "lut = " + "[" * 20_000), "thousands of"),
        (('title = "A board"', 'title = "A board"\nname = "yours"'), "the field 'name'"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(own: Path, change: tuple[str, str], sentence: str):
    (own / "mine.toml").write_text(GOOD.replace(*change))
    with pytest.raises(UserError) as caught:
        boards.load("mine")
    assert sentence in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_a_file_that_is_no_text_is_refused(own: Path):
    (own / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        boards.load("mine")


def test_a_folder_of_boards_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CODESIGN_BOARDS", str(tmp_path / "absent"))
    with pytest.raises(UserError, match=r"CODESIGN_BOARDS names '.*absent', which is no folder"):
        boards.load("pynq-z2")


def test_a_malformed_file_name_is_neither_loaded_nor_suggested(own: Path):
    (own / "Evil Board.toml").write_text(GOOD)
    with pytest.raises(UserError, match=r"'Evil Board' may hold letters, .*rename the file"):
        boards.load("Evil Board")
    with pytest.raises(UserError) as caught:
        boards.load("Evil Boar")
    assert "Evil Board" not in str(caught.value)
