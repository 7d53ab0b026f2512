"""What is recorded of the trained models: it belongs to their checkpoints and is found again."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from codesign import data, resources, zoo
from codesign.cli.commands import report
from codesign.data import _fetch
from codesign.ir import golden
from codesign.train.checkpoint import sha256
from codesign.verify.accuracy import evaluate

FOLDER = resources.folder("models")
MODELS = sorted(path.stem for path in FOLDER.glob("*.toml"))
TRAINED = sorted(path.stem for path in FOLDER.glob("*.safetensors"))
INTEGER = [name for name in TRAINED if not zoo.read(FOLDER / f"{name}.toml").widths.is_float]
FILES = {
    "cifar10": ("cifar10.npz", "cifar-10-binary.tar.gz"),
    "unsw_nb15": ("UNSW_NB15_training-set.csv.gz",),
    "fashion_mnist": ("t10k-images-idx3-ubyte.gz",),
}


def copy(name: str, folder: Path) -> zoo.Model:
    for ending in ("toml", "safetensors"):
        shutil.copy(FOLDER / f"{name}.{ending}", folder)
    return zoo.read(folder / f"{name}.toml")


@pytest.mark.parametrize("name", MODELS)
def test_every_recorded_result_is_of_the_checkpoint_beside_it(name: str) -> None:
    model = zoo.read(FOLDER / f"{name}.toml")
    if not model.checkpoint_path.is_file():
        # A recipe that nobody has run to its end claims nothing.
        assert model.recipe is not None
        assert model.result == zoo.Result()
        return
    assert model.result.float_accuracy is not None
    assert (model.result.accuracy is None) == model.widths.is_float
    assert model.result.checkpoint_sha256 == sha256(model.checkpoint_path)
    assert model.measured == model.result
    assert not model.is_outdated


def test_a_result_of_other_weights_does_not_count(tmp_path: Path) -> None:
    model = copy("digits_cnn_w3", tmp_path)
    content = bytearray(model.checkpoint_path.read_bytes())
    content[-1] ^= 1
    model.checkpoint_path.write_bytes(content)
    assert model.is_outdated
    assert model.measured == zoo.Result(
        parameters=model.result.parameters,
        macs=model.result.macs,
        checkpoint_sha256=sha256(model.checkpoint_path),
    )
    facts = report._facts(model, {})
    assert facts.accuracy is None
    assert facts.float_accuracy is None
    assert sha256(model.checkpoint_path) in str(facts.facts)
    model.checkpoint_path.unlink()
    assert model.is_outdated
    assert model.measured.checkpoint_sha256 is None
    assert model.measured.accuracy is None


def test_a_model_that_was_never_measured_is_not_outdated(tmp_path: Path) -> None:
    model = copy("digits_cnn_w3", tmp_path)
    path = Path(model.path)
    path.write_text(path.read_text().split("[result]")[0])
    assert not zoo.read(path).is_outdated


QUICK = ("digits_cnn_w3", "unsw_mlp_w2")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in INTEGER])
def test_the_recorded_accuracy_is_measured_again_exactly(name: str) -> None:
    model = zoo.read(FOLDER / f"{name}.toml")
    if model.framework == "qkeras" and importlib.util.find_spec("qkeras") is None:
        pytest.skip("needs QKeras: pip install '.[qkeras]'")
    files = FILES.get(model.dataset)
    if files and not any(_fetch.find(model.dataset, file) for file in files):
        pytest.skip(f"{model.dataset} is not on this machine; name a folder that holds it in CODESIGN_DATA")
    graph, dataset = model.graph(), data.load(model.dataset)
    found = evaluate(lambda x: golden.run(graph, x), dataset.x_test, dataset.y_test)
    assert found.images == model.result.images
    assert round(found.accuracy, 4) == model.result.accuracy


def test_the_graph_of_a_trained_model_needs_no_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is loaded")

    monkeypatch.setattr(data, "load", refuse)
    for name in TRAINED:
        model = zoo.read(FOLDER / f"{name}.toml")
        if model.widths.is_float or (model.framework == "qkeras" and importlib.util.find_spec("qkeras") is None):
            continue
        assert len(model.graph().outputs) == 1
