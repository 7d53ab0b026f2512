"""Model files: those that come with the package, and what a user may get wrong in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import safe_open

from codesign import data, resources, zoo
from codesign.errors import UserError
from codesign.train import topologies
from codesign.train.checkpoint import sha256
from codesign.train.run import train

MODELS = sorted(path.stem for path in resources.folder("models").glob("*.toml"))
TEXT = """title = "mine"  # keep me
framework = "brevitas"
dataset = "digits"
topology = "digits_cnn"
input_scale = 0.0625

[widths]
weight_bits = 3
activation_bits = 3

# How it is trained.
[recipe]
epochs = 2
learning_rate = 0.1
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one model, `mine`."""
    monkeypatch.setenv("CODESIGN_MODELS", str(tmp_path))
    (tmp_path / "mine.toml").write_text(TEXT)
    return tmp_path / "mine.toml"


@pytest.mark.parametrize("name", MODELS)
def test_models_of_the_package_are_whole(name: str) -> None:
    model = zoo.read(resources.folder("models") / f"{name}.toml")
    assert model.name == name
    assert model.title
    assert model.dataset in data.names()
    assert model.recipe is not None
    if model.framework == "brevitas":
        assert model.topology in topologies.names()
        model.module()
    for other in (model.recipe.init_from, model.recipe.distillation and model.recipe.distillation.teacher):
        assert other is None or other in MODELS
    if model.checkpoint_path.is_file() and model.framework == "brevitas":
        model.build()
        assert model.result.checkpoint_sha256 == sha256(model.checkpoint_path)
        assert model.result.seed == model.recipe.seed
        assert model.result.epochs == model.recipe.epochs


def test_folders_are_searched_in_order(mine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "mine" in zoo.names()
    assert "resnet8_w3" in zoo.names()
    here = tmp_path / "work"
    (here / "models").mkdir(parents=True)
    (here / "models" / "mine.toml").write_text(TEXT.replace('"mine"', '"second"'))
    (here / "models" / "local.toml").write_text(TEXT)
    monkeypatch.chdir(here)
    assert zoo.load("mine").title == "mine"
    assert zoo.load("local").path == str(here / "models" / "local.toml")
    monkeypatch.delenv("CODESIGN_MODELS")
    assert zoo.load("mine").title == "second"
    assert zoo.load(str(mine)).title == "mine"


@pytest.mark.parametrize("name", ["resnet8_w5", "resnet8w3"])
def test_an_unknown_model_gets_suggestions(name: str) -> None:
    with pytest.raises(UserError, match=rf"no model '{name}'; did you mean .*resnet8_w"):
        zoo.load(name)


@pytest.mark.parametrize("name", ["../mine", "", "*", '"; rm -rf /'])
def test_a_name_is_never_a_path(name: str, mine: Path) -> None:
    with pytest.raises(UserError, match="no model"):
        zoo.load(name)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("weight_bits = 3", 'weight_bits = "three"', ["widths.weight_bits", "int", "str"]),
        ("weight_bits = 3", "weight_bit = 3", ["weight_bit"]),
        ("weight_bits = 3", "weight_bits = 0", ["widths.weight_bits", "1 to 16", "32", "found 0"]),
        ("activation_bits = 3", "activation_bits = 17", ["widths.activation_bits", "1 to 16", "32", "found 17"]),
        ("[recipe]", "residual_bits = 1\n[recipe]", ["widths.residual_bits", "2 to 16", "32", "found 1"]),
        ("epochs = 2", "epochs = 0", ["the field 'recipe.epochs' must be int >= 1."]),
        ("epochs = 2\n", "", ["epochs", "missing"]),
        ("input_scale = 0.0625", "input_scale = 0.1", ["input_scale", "power of two"]),
        ("input_scale = 0.0625", "input_scale = -1.0", ["input_scale"]),
        ('framework = "brevitas"', 'framework = "keras"', ["framework"]),
        ("[recipe]", "[recipe", ["TOML"]),
        ('dataset = "digits"', "dataset = 3", ["dataset", "str", "int"]),
        ("[recipe]", 'path = "x"\n[recipe]', ["path"]),
        ("epochs = 2", "epochs = 2\nseed = 99999999999999", ["'recipe.seed' must be 0 to 2147483647, found 9999"]),
        ("epochs = 2", "epochs = 2\ncrop_padding = 100000", ["'recipe.crop_padding' must be 0 to 32, found 100000"]),
    ],
)
def test_a_mistake_in_a_model_file_is_named(old: str, new: str, words: list[str], mine: Path) -> None:
    assert old in TEXT
    mine.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        zoo.load("mine")
    for word in ["mine.toml", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "method", "says"),
    [
        ("weight", 'weights = "post"', "asks for post weights, but widths.weight_bits = 32 is float"),
        ("activation", 'activations = "asq"', "asks for asq activations, but widths.activation_bits = 32 is float"),
        ("weight", "weight_options = {quantile = 0.9}", "asks for weight_options, but widths.weight_bits = 32"),
        ("activation", "activation_options = {entries = 16}", "asks for activation_options, but widths.activation"),
    ],
)
def test_a_method_of_what_is_left_float_is_told(field: str, method: str, says: str, mine: Path) -> None:
    for whole in ("weight", "activation", "weight activation"):
        text = f"{TEXT}\n[method]\n{method}\n"
        for part in whole.split():
            # Not given, it is 32 too.
            text = text.replace(f"{part}_bits = 3\n", "" if part == field else f"{part}_bits = 32\n", 1)
        mine.write_text(text)
        if field in whole.split():
            with pytest.raises(UserError, match=rf"mine.toml: \[method\] {says}"):
                zoo.load("mine")
        else:
            assert zoo.load("mine").method.summary


def test_the_greatest_seed_and_padding_can_be_trained_with(mine: Path, tmp_path: Path) -> None:
    bounds = f"crop_padding = {zoo.MOST_PADDING}\nseed = {zoo.GREATEST_SEED}\n"
    mine.write_text(TEXT.replace("epochs = 2", "epochs = 1\nbatch = 512") + bounds)
    assert train(zoo.load("mine"), tmp_path / "run", progress=False).seed == zoo.GREATEST_SEED


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('"x"', ["'channels'", "int", "str"]),
        ("100000000", ["'channels' must be 1 to 1024, found 100000000"]),
        ("0", ["'channels' must be 1 to 1024, found 0"]),
        ("[16]", ["'channels'", "int", "array"]),
    ],
)
def test_a_wrong_option_of_a_topology_is_named_with_its_file(value: str, words: list[str], mine: Path) -> None:
    mine.write_text(f"{TEXT}\n[topology_options]\nchannels = {value}\n")
    with pytest.raises(UserError) as caught:
        zoo.load("mine").module()
    for word in ["mine.toml", "digits_cnn", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("weight_bits = 3", "weight_bits = 1", ["'lsq'", "at least 2 bits", "not 1"]),
        ("[recipe]", "first_weight_bits = 1\n[recipe]", ["'lsq'", "at least 2 bits", "not 1"]),
        ("[recipe]", '[method]\nedges = "pots"\n[recipe]', ["no quantisation method 'pots'", "did you mean pot?"]),
        (
            "weight_bits = 3\nactivation_bits = 3",
            'weight_bits = 32\nactivation_bits = 32\n[method]\nweights = "post"',
            ["is float", "[method]", "post weights"],
        ),
    ],
)
def test_a_method_that_does_not_fit_is_named_with_its_file(old: str, new: str, words: list[str], mine: Path) -> None:
    assert old in TEXT
    mine.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        zoo.load("mine").module()
    for word in ["mine.toml", *words]:
        assert word in str(caught.value)


def test_a_list_of_sizes_is_checked_by_element(mine: Path) -> None:
    text = TEXT.replace("digits_cnn", "mlp") + "\n[topology_options]\nhidden = [8, 99999]\n"
    mine.write_text(text)
    with pytest.raises(UserError, match="'hidden' must be 1 to 1024, found 99999"):
        zoo.load("mine").module()
    mine.write_text(text.replace("99999", '"8"'))
    with pytest.raises(UserError, match=r"'hidden': .*int"):
        zoo.load("mine").module()
    mine.write_text(TEXT.replace("digits_cnn", "resnet9") + "\n[topology_options]\nchannels = [8, 8]\n")
    with pytest.raises(UserError, match=r"mine\.toml: .*channels needs four sizes"):
        zoo.load("mine").module()


def test_a_file_that_is_absent_or_no_text(mine: Path) -> None:
    with pytest.raises(UserError, match=r"no file .*absent\.toml"):
        zoo.load(str(mine.with_name("absent.toml")))
    mine.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"mine\.toml"):
        zoo.load("mine")


def test_building_without_a_whole_checkpoint(mine: Path) -> None:
    model = zoo.load("mine")
    with pytest.raises(UserError, match=r"no checkpoint .*mine\.safetensors; train the model first"):
        model.build()
    model.checkpoint_path.write_bytes(b"not weights")
    with pytest.raises(UserError, match="is damaged"):
        model.build()


def test_results_are_recorded_beside_the_rest(mine: Path) -> None:
    model = zoo.record(zoo.load("mine"), {"float_accuracy": 97.5, "images": 360, "checkpoint_sha256": "ab"})
    text = mine.read_text()
    assert text.startswith(TEXT)
    assert model.result.float_accuracy == 97.5
    again = zoo.record(model, {"accuracy": 97.25, "images": 359, "checkpoint_sha256": None})
    assert again.result == zoo.Result(float_accuracy=97.5, accuracy=97.25, images=359)
    assert mine.read_text().count("[result]") == 1
    assert "# keep me" in mine.read_text()
    assert "# How it is trained." in mine.read_text()


@pytest.mark.parametrize("tail", ["\n[result]", "\n[result]\nimages = 3", "\n[result]\nimages = 3\n\n[method]\n"])
def test_a_result_section_is_replaced_wherever_it_is(tail: str, mine: Path) -> None:
    mine.write_text(TEXT + tail)
    model = zoo.record(zoo.load("mine"), {"images": 4})
    assert model.result.images == 4
    assert mine.read_text().count("[result]") == 1
    assert ("[method]" in tail) == ("\n[method]\n" in mine.read_text())


def test_the_fingerprint_is_of_what_decides_the_weights(mine: Path) -> None:
    before = zoo.load("mine").fingerprint()
    mine.write_text(TEXT.replace("mine", "renamed") + "\n[result]\nimages = 3\n")
    assert zoo.load("mine").fingerprint() == before
    mine.write_text(TEXT.replace("epochs = 2", "epochs = 3"))
    assert zoo.load("mine").fingerprint() != before


@pytest.mark.parametrize("path", sorted(resources.folder("models").glob("*.safetensors")), ids=lambda p: p.stem)
def test_checkpoints_hold_tensors_alone(path: Path) -> None:
    with safe_open(path, framework="np") as file:
        assert file.keys()
    assert path.stat().st_size < 5 << 20


def test_a_folder_of_models_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODESIGN_MODELS", str(tmp_path / "absent"))
    with pytest.raises(UserError, match=r"CODESIGN_MODELS names '.*absent', which is no folder"):
        zoo.load("resnet8_w3")
