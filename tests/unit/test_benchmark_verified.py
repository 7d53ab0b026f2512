"""The kept results of every model through every backend: for the present checkpoints, all, without a difference."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from codesign.errors import UserError

OWN = ("digits_qkeras_asq_w4", "fashion_qkeras_post_w4")
"""QKeras models with quantizers of this package, which hls4ml does not know."""
HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "verified"


@pytest.fixture
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verified_bench", HERE / "bench.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_model_was_verified_by_every_backend_without_a_difference(bench: ModuleType) -> None:
    results = bench.known(bench.VECTORS)
    for name, model in bench.models().items():
        wanted = {backend for backend in bench.BACKENDS if bench.applies(model, backend)}
        assert results[name].keys() == wanted, f"run benchmarks/verified/bench.py for {name}"
        assert all(one.get("differences", 0) == 0 and not one.get("cycles_differ") for one in results[name].values())
        refused = {backend for backend, one in results[name].items() if "refused" in one}
        adaptive = model.method.activations == "asq"
        assert refused == ({"finn"} if adaptive else set()) | ({"hls4ml-stock"} & wanted if name in OWN else set())
    assert (HERE / "table.md").read_text() == bench.markdown(results)


@pytest.mark.parametrize(
    ("code", "out", "err", "kept"),
    [
        (0, '{"differences": 0, "vectors": 20, "integers": 9, "tensors": 3}', "", {"differences": 0}),
        (1, '{"differences": 4, "vectors": 20, "integers": 9, "tensors": 3}', "", {"differences": 4}),
        (2, "", "codesign: n8 (add) has no FINN layer; see /a/b.", {"refused": "n8 (add) has no FINN layer."}),
        (2, "", "codesign: g++ refused the sources; see /a/log.", None),
        (2, "", "codesign: FINN is not installed here; make finn sets it up.", None),
        (1, '{"error": "KeyError: 1", "bug": true}', "codesign: this is a bug", None),
        (130, "", "", None),
        (-9, "", "", None),
    ],
)  # fmt: skip
def test_only_what_a_backend_says_of_a_model_is_kept(
    bench: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    out: str,
    err: str,
    kept: dict[str, Any] | None,
) -> None:
    def ended(*_: Any, **__: Any) -> SimpleNamespace:
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    monkeypatch.setattr(subprocess, "run", ended)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.json")
    status = bench.run(["digits_cnn_w3"], ["finn"], 20)
    assert status == (0 if kept in ({"differences": 0},) or (kept and "refused" in kept) else 1)
    if kept is None:
        assert not (tmp_path / "results.json").exists()
        model = bench.models()["digits_cnn_w3"]
        with pytest.raises(UserError, match="digits_cnn_w3 finn failed"):
            bench.verify(model, "finn", 20)
        return
    found = json.loads((tmp_path / "results.json").read_bytes())["digits_cnn_w3"]["finn"]
    assert kept.items() <= found.items()
    # What is there is not done again, unless more frames are asked for.
    monkeypatch.setattr(subprocess, "run", None)
    assert bench.run(["digits_cnn_w3"], ["finn"], 20) == status
