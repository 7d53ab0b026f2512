"""The README of every folder of hardware names each module in it."""

from __future__ import annotations

import re

import pytest

from codesign import resources

HW = resources.folder("hw")


@pytest.mark.parametrize("folder", ["cells", "formal", "rtl", "shell", "shell/vivado"])
def test_every_module_is_in_the_table(folder: str):
    text = (HW / folder / "README.md").read_text()
    # Names in code, without folder and ending.
    named = {re.sub(r".*/|\.\w+$", "", name) for name in re.findall(r"`([\w./]+)`", text)}
    inner = [] if folder == "shell" else (HW / folder).glob("*/*.sv")
    modules = {path.stem.removesuffix("_properties") for path in [*(HW / folder).glob("*.sv"), *inner]}
    assert modules
    assert sorted(modules - named) == []
