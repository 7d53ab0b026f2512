"""Which modules a source needs."""

from __future__ import annotations

from pathlib import Path

from codesign.backends.rtl import modules

TOP = """\
module top (input logic clk);
    // rom is no instance here, and neither is `sum_tree`.
    wide #(.WIDTH(3)) first (.clk(clk));
    if (1) begin : branch
        plain second (.clk(clk));
        split third
            (.clk(clk));
    end
    elsewhere fourth (.clk(clk));
endmodule
"""


def library(folder: Path) -> dict[str, Path]:
    texts = {
        "wide": "    inner #(.A(1)) x\n",
        "inner": "    wide y (a);\n    leaf z\n",
        "leaf": "",
        "plain": "",
        "split": "",
        "rom": "",
        "sum_tree": "",
    }
    for name, text in texts.items():
        (folder / f"{name}.sv").write_text(text)
    (folder / "notes.txt").write_text("")
    return modules.files(folder)


def test_modules_are_found_directly_and_through_others(tmp_path: Path):
    found = modules.needed(TOP, library(tmp_path))
    assert list(found) == ["inner", "leaf", "plain", "split", "wide"]
    assert found["inner"] == "    wide y (a);\n    leaf z\n"


def test_what_is_not_known_is_left_out_with_what_only_it_needs(tmp_path: Path):
    known = library(tmp_path)
    del known["wide"]
    assert list(modules.needed(TOP, known)) == ["plain", "split"]
    assert modules.needed("", known) == {}
