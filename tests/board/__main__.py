"""Runs the twin of the image that `codesign synth` made: python -m tests.board FOLDER [--placed] [--clock MHZ]."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import pll
from codesign.errors import UserError

from .image import Image
from .twin import Twin


def main() -> int:
    """Run the twin until Enter is typed, and tell the clocks that it simulated."""
    parser = argparse.ArgumentParser(prog="python -m tests.board", description=__doc__)
    parser.add_argument("folder", type=Path, help="project of the RTL backend, such as build/MODEL/BOARD/rtl")
    parser.add_argument("--placed", action="store_true", help="what nextpnr made, not what it reads")
    parser.add_argument("--clock", type=float, help="MHz, as given to codesign synth")
    chosen = parser.parse_args()
    try:
        project = rtl.open_project(chosen.folder)
        board = boards.load(project.about["board"])
        made = pll.choose(board, chosen.clock) if chosen.clock else None
        name = "placed-twin" if chosen.placed else "twin"
        image = Image(project, board, pll=made, place=chosen.placed, name=name, fast=True)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    with Twin(image) as twin:
        before = twin.clocks
        print(f"codesign run MODEL --board {image.design.board.name} --port {twin.port}", flush=True)
        input("Enter ends the simulation. ")
        print(f"{twin.clocks - before:,} clocks were simulated.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
