"""What the README shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from codesign import zoo

README = Path(__file__).parents[2] / "README.md"


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    example, quantizers = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
    monkeypatch.chdir(tmp_path)
    exec(compile(example, str(README), "exec"), {})  # noqa: S102
    exec(compile(quantizers, str(README), "exec"), {})  # noqa: S102
    assert (tmp_path / "build" / "network" / "pynq-z2" / "hls4ml" / "build.tcl").is_file()
    assert "build.tcl" in capsys.readouterr().out


def test_the_models_it_lists_are_those_of_the_checkout_with_their_accuracy():
    text = README.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", text, re.MULTILINE)
    models = {path.stem: zoo.read(path) for path in README.parent.glob("models/*.toml")}
    models = {name: model for name, model in models.items() if model.checkpoint_path.is_file()}
    assert {name for name, *_ in rows} == set(models)
    for name, _, bits, integers, floating in rows:
        model = models[name]
        assert integers == ("–" if model.result.accuracy is None else f"{model.result.accuracy:.2f}")
        assert floating == f"{model.result.float_accuracy:.2f}"
        widths = model.widths
        assert bits.startswith("float" if widths.is_float else f"{widths.weight_bits} / {widths.activation_bits} bits")


def test_every_command_and_target_it_names_exists():
    import rich_click as click

    from codesign.cli.main import application

    text = README.read_text(encoding="utf-8")
    known = set(application.list_commands(click.Context(application)))
    named = set(re.findall(r"`codesign ([a-z]+)", text))
    assert named <= known
    table = text[text.index("## Command line") : text.index("## Limits")]
    assert {name for name in known if f"`{name}`" in table or f"codesign {name}" in table} == known
    makefile = README.with_name("Makefile").read_text()
    for target in set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
