"""Models whose layers and channels have widths of their own: from the model file to the integer graph."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from codesign import data, zoo
from codesign.errors import UserError
from codesign.frontends.brevitas_reference import compared
from codesign.ir import golden
from codesign.ir.ops import Conv2d
from codesign.quant.lsq_channels import LsqChannelsQuant
from codesign.quant.mixed import Mixed
from codesign.quant.mixed_layers import require_loaded
from codesign.quant.post_channels import PostChannelsQuant
from codesign.search import mixed_model
from codesign.search.space_of import space_of
from codesign.train import checkpoint
from codesign.train.run import train

MIXED = """
[mixed.weights]
depthwise = [3, 0, 1, 8]
pointwise = [4, 3, 2, 1, 0, 5, 4, 4]

[mixed.activations]
act1 = 4
act2 = 1
"""
TOML = """
title = "test"
framework = "brevitas"
dataset = "digits"
topology = "digits_cnn"
input_scale = 0.0625

[topology_options]
channels = 4

[widths]
weight_bits = 3
activation_bits = 3
{mixed}
[recipe]
epochs = 1
batch = 64
learning_rate = 0.02
validation = 100
{more}
"""
WIDTHS = {"depthwise": (3, 0, 1, 8), "pointwise": (4, 3, 2, 1, 0, 5, 4, 4)}


def model(folder: Path, name: str = "tiny", mixed: str = MIXED, more: str = "") -> zoo.Model:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(TOML.format(mixed=mixed, more=more))
    return zoo.read(folder / f"{name}.toml")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained network of 3 bits, `source`, and one of mixed widths that started from it, `tiny`."""
    folder = tmp_path_factory.mktemp("mixed")
    for name, mixed, more in (("source", "", ""), ("tiny", MIXED, 'init_from = "source"')):
        result = train(model(folder, name, mixed, more), folder / name, progress=False)
        (folder / f"{name}.safetensors").write_bytes(Path(result.checkpoint).read_bytes())
    return folder


@pytest.mark.parametrize("scheme", ["uniform", "post"])
def test_the_graph_has_the_widths_of_the_file_and_computes_as_the_network(tmp_path: Path, scheme: str) -> None:
    schemes = f'\n[mixed.schemes]\npointwise = "{scheme}"\n'
    mine = model(tmp_path, mixed=MIXED + schemes)
    result = train(mine, tmp_path / "run", progress=False)
    mine.checkpoint_path.write_bytes(Path(result.checkpoint).read_bytes())
    imported = mine.imported()
    convolutions = [node.op for node in imported.graph if isinstance(node.op, Conv2d)]
    depthwise, pointwise = convolutions[1:]
    assert depthwise.channel_bits == (3, 1, 2, 8)
    assert depthwise.used_widths[1] == 0
    assert set(np.unique(depthwise.values()[..., 2])) == {-1, 1}
    assert (pointwise.values()[..., 4] == 0).all()
    if scheme == "uniform":
        assert pointwise.channel_bits == (4, 3, 2, 2, 1, 5, 4, 4)
        assert len(np.unique(np.abs(pointwise.values()[..., 3]))) == 1
    else:
        assert pointwise.channel_bits == (5,) * 8
        assert np.unique(np.abs(pointwise.values()[..., 3])).tolist() == [pointwise.codebook.max()]
    edges = [imported.graph.edges[node.inputs[0]].type.bits for node in imported.graph if isinstance(node.op, Conv2d)]
    assert edges[1:] == [4, 1]
    digits = data.load("digits")
    for name, witness, found in compared(imported, digits.x_test[:40]):
        assert np.array_equal(witness, found), name
    answers = golden.run(imported.graph, digits.x_test).argmax(1)
    assert 100 * (answers == digits.y_test).mean() == pytest.approx(result.float_accuracy, abs=1)


def test_all_binary_weights_take_one_bit(tmp_path: Path) -> None:
    mine = model(tmp_path, mixed="[mixed.weights]\npointwise = 1\n")
    mine.module()
    result = train(mine, tmp_path / "run", progress=False)
    mine.checkpoint_path.write_bytes(Path(result.checkpoint).read_bytes())
    pointwise = [node.op for node in mine.graph() if isinstance(node.op, Conv2d)][2]
    assert pointwise.codebook.tolist() == [-1, 1]
    assert pointwise.channel_bits == (1,) * 8


@pytest.mark.parametrize("scheme", ["uniform", "post"])
def test_a_layer_may_be_pruned_whole(tmp_path: Path, scheme: str) -> None:
    mine = model(tmp_path, mixed=f'[mixed.weights]\npointwise = 0\n[mixed.schemes]\npointwise = "{scheme}"\n')
    network = mine.module()
    torch.nn.init.ones_(network.bn3.bias)  # else nothing is left that could set the step behind it
    network.eval()(torch.rand(4, 1, 8, 8))
    checkpoint.write(mine.checkpoint_path, network.state_dict())
    imported = mine.imported()
    pointwise = [node.op for node in imported.graph if isinstance(node.op, Conv2d)][2]
    assert (pointwise.values() == 0).all()
    for name, witness, found in compared(imported, data.load("digits").x_test[:4]):
        assert np.array_equal(witness, found), name


def test_steps_of_other_widths_are_not_taken_over(source: Path) -> None:
    """`source` and `tiny` have the same [widths] and [method], so that a training loads steps where it can."""
    tensors, _ = checkpoint.read(source / "source.safetensors")
    mine = zoo.read(source / "tiny.toml")
    network = mine.module()
    checkpoint.load_weights(network, source / "source.safetensors", partial=True, steps=True)
    assert torch.equal(network.pointwise.weight, tensors["pointwise.weight"])
    fresh = network.pointwise.weight_quant.tensor_quant.codes_of.first_steps(network.pointwise.weight)
    assert torch.equal(network.pointwise.weight_quant.tensor_quant.scaling_impl.value, fresh)
    activation = network.act1.act_quant.fused_activation_quant_proxy.tensor_quant
    assert activation.waiting
    assert not activation.scaling_impl.is_set
    kept = "act3.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value"
    assert torch.equal(network.state_dict()[kept], tensors[kept])
    with pytest.raises(UserError, match="trained with other widths of act1"):
        require_loaded(network)


def test_its_own_checkpoint_is_loaded_whole(source: Path) -> None:
    mine = zoo.read(source / "tiny.toml")
    tensors, _ = checkpoint.read(mine.checkpoint_path)
    state = mine.build().state_dict()
    assert state.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(state[name], tensor), name
    assert tensors["pointwise.weight_quant.mixed_widths"].tolist() == list(WIDTHS["pointwise"])


def test_a_checkpoint_of_other_widths_is_refused(source: Path, tmp_path: Path) -> None:
    changed = model(tmp_path, mixed=MIXED.replace("[4, 3, 2, 1", "[4, 3, 2, 2"))
    changed.checkpoint_path.write_bytes((source / "tiny.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"tiny.toml: its checkpoint was trained with other widths of pointwise; train"):
        changed.build()


def test_an_interrupted_training_continues_bit_for_bit(tmp_path: Path, source: Path) -> None:
    again = train(zoo.read(source / "tiny.toml"), tmp_path / "run", progress=False)
    assert again.checkpoint_sha256 == checkpoint.sha256(source / "tiny.safetensors")
    resumed = train(zoo.read(source / "tiny.toml"), tmp_path / "run", progress=False)
    assert resumed.checkpoint_sha256 == again.checkpoint_sha256


@pytest.mark.parametrize(
    ("mixed", "sentence"),
    [
        ("[mixed.weights]\npointwize = 3", r"no layer with weights 'pointwize'; did you mean pointwise\? Known: depth"),
        ("[mixed.weights]\nstem = 3", r"names stem, whose width is that of widths.first_weight_bits"),
        ("[mixed.weights]\ndense = 3", r"names dense, whose width is that of widths.last_weight_bits"),
        ("[mixed.activations]\nact3 = 3", r"names act3, whose width is that of widths.last_activation_bits"),
        ("[mixed.activations]\npointwise = 3", r"there is no activation 'pointwise'; known: act1, act2"),
        ("[mixed.weights]\npointwise = [3, 3]", r"pointwise has 8 output channels, but 'mixed.weights' gives it 2"),
    ],
)
def test_what_does_not_fit_the_network_is_told(tmp_path: Path, mixed: str, sentence: str) -> None:
    with pytest.raises(UserError, match=rf"tiny.toml: .*{sentence}"):
        model(tmp_path, mixed=mixed).module()


LAYER = "[mixed.weights]\npointwise = {bits}\n"
POST = '[mixed.schemes]\npointwise = "post"\n'
UNIFORM = '[mixed.schemes]\npointwise = "uniform"\n'


@pytest.mark.parametrize(
    ("method", "schemes", "kind"),
    [
        ("lsq", "", LsqChannelsQuant),
        ("lsq", POST, PostChannelsQuant),
        ("post", "", PostChannelsQuant),
        ("post", UNIFORM, LsqChannelsQuant),
        ("dorefa", UNIFORM, LsqChannelsQuant),
        ("pot", POST, PostChannelsQuant),
    ],
)
def test_a_layer_has_the_method_of_the_network_unless_another_is_given(
    tmp_path: Path, method: str, schemes: str, kind: type
) -> None:
    mine = model(tmp_path, mixed=f'[method]\nweights = "{method}"\n{LAYER.format(bits=3)}{schemes}')
    network = mine.module()
    assert type(network.pointwise.weight_quant.tensor_quant) is kind
    if method in ("lsq", "post"):
        # A search that begins there sees the same network.
        schemes_of = mixed_model.assignment_of(mine, space_of(mine)).schemes
        assert (schemes_of.get("pointwise") == "post") == (kind is PostChannelsQuant)


@pytest.mark.parametrize(
    ("method", "more", "sentence"),
    [
        (
            'weights = "dorefa"',
            "",
            r"names pointwise, but dorefa weights cannot have a width of their own; give",
        ),
        ('weights = "pot"', "", r'give mixed.schemes.pointwise = "uniform" \(LSQ\) or "post", or take the layer out'),
        (
            'weights = "post"\nweight_options = {quantile = 0.9}',
            "",
            r"remove \[method.weight_options\] \(quantile\)",
        ),
        ('weights = "post"\nweight_options = {quantile = 0.9}', POST, r"whose weights take no options"),
    ],
)
def test_a_method_is_not_replaced_unseen(tmp_path: Path, method: str, more: str, sentence: str) -> None:
    text = f"[method]\n{method}\n{LAYER.format(bits=3)}{more}"
    with pytest.raises(UserError, match=rf"tiny.toml: .*{sentence}"):
        model(tmp_path, mixed=text).module()


def test_binary_methods_ask_for_the_kind_of_a_wider_layer(tmp_path: Path) -> None:
    path = Path(model(tmp_path, mixed=f'[method]\nweights = "sign"\n{LAYER.format(bits=3)}').path)
    path.write_text(path.read_text().replace("\nweight_bits = 3", "\nweight_bits = 1"))
    with pytest.raises(UserError, match=r"names pointwise, but sign weights cannot have a width of their own"):
        zoo.read(path).module()


def test_options_of_the_method_stay_with_its_own_layers(tmp_path: Path) -> None:
    """A layer that is said to be of another kind loses nothing by being it."""
    text = f'[method]\nweights = "post"\nweight_options = {{quantile = 0.9}}\n{LAYER.format(bits=3)}{UNIFORM}'
    network = model(tmp_path, mixed=text).module()
    assert type(network.pointwise.weight_quant.tensor_quant) is LsqChannelsQuant


def test_a_method_of_float_hidden_layers_is_that_of_those_with_a_width(tmp_path: Path) -> None:
    path = Path(model(tmp_path, mixed=f'[method]\nweights = "post"\n{LAYER.format(bits=3)}').path)
    path.write_text(path.read_text().replace("\nweight_bits = 3", "\nweight_bits = 32"))
    network = zoo.read(path).module()
    assert type(network.pointwise.weight_quant.tensor_quant) is PostChannelsQuant
    assert not network.depthwise.weight_quant.is_quant_enabled


def test_post_has_no_six_bits_wherever_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'mixed.weights.pointwise' must be 0 to 5 for post weights, found 6; lower"):
        model(tmp_path, mixed=f'[method]\nweights = "post"\n{LAYER.format(bits=6)}').module()


def test_a_copy_of_a_network_tells_what_was_loaded_into_it(source: Path) -> None:
    mine = zoo.read(source / "tiny.toml")
    network = mine.module()
    checkpoint.load_weights(network, source / "tiny.safetensors")
    copied = copy.deepcopy(network)
    checkpoint.load_weights(copied, source / "source.safetensors", partial=True)
    require_loaded(network)
    with pytest.raises(UserError, match="trained with other widths of"):
        require_loaded(copied)
    checkpoint.load_weights(copied, source / "tiny.safetensors")
    require_loaded(copied)


def test_a_method_that_acts_on_the_whole_network_is_refused(tmp_path: Path) -> None:
    path = Path(model(tmp_path, mixed='[method]\nweights = "bitat"\n[mixed.weights]\npointwise = 3').path)
    path.write_text(path.read_text().replace("\nweight_bits = 3", "\nweight_bits = 1"))
    with pytest.raises(UserError, match=r"tiny.toml: \[mixed\] does not go with the \[method\] bitat"):
        zoo.read(path).module()


@pytest.mark.parametrize(
    ("mixed", "sentence"),
    [
        ("[mixed.weights]\npointwise = 9", r"'mixed.weights.pointwise' must be 0 to 8, found 9"),
        ("[mixed.weights]\npointwise = [3, -1]", r"'mixed.weights.pointwise' must be 0 to 8, found -1"),
        ('[mixed.weights]\npointwise = 6\n[mixed.schemes]\npointwise = "post"', r"must be 0 to 5, found 6"),
        ("[mixed.activations]\nact1 = 0", r"'mixed.activations.act1' must be 1 to 8, found 0"),
        ('[mixed.weights]\npointwise = 3\n[mixed.schemes]\npointwise = "odd"', r'"uniform" or "post", found \'odd\''),
        ('[mixed.schemes]\npointwise = "post"', r"'mixed.weights' must give too"),
        ("[mixed.weight]\npointwise = 3", r"unknown field 'mixed.weight'"),
        ("[mixed.weights]\npointwise = 3.5", r"mixed.weights"),
    ],
)
def test_what_no_quantizer_has_is_told_when_the_file_is_read(tmp_path: Path, mixed: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        model(tmp_path, mixed=mixed)


def test_a_float_network_has_no_widths(tmp_path: Path) -> None:
    path = model(tmp_path).path
    Path(path).write_text(Path(path).read_text().replace("_bits = 3", "_bits = 32"))
    with pytest.raises(UserError, match=r"\[mixed\] is for quantised networks; give widths.weight_bits"):
        zoo.read(Path(path))


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("resnet8_w2", "18665a002cc3fe49208b01ee4d62834898072cfd3745117b01e2f37245ab92e8"),
        ("digits_cnn_w3", "55317ac0babf474c18fb93d0d688a68c97cb112bb93fdc019c28ba467692e19f"),
        ("unsw_mlp_w2", "7e7f6c96e49f44bcbd7e4a1ea34bfe0f9bde8e474d6cf629e41d135c6a67359f"),
    ],
)
def test_models_without_the_section_keep_their_fingerprint(name: str, fingerprint: str) -> None:
    """Unfinished trainings of theirs are found by it."""
    assert zoo.load(name).fingerprint() == fingerprint


def test_widths_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    one = model(tmp_path / "a")
    other = model(tmp_path / "b", mixed=MIXED.replace("act1 = 4", "act1 = 3"))
    assert one.fingerprint() != other.fingerprint() != model(tmp_path / "c", mixed="").fingerprint()


def test_widths_in_words() -> None:
    mixed = Mixed({"a": (0, 3, 7), "b": 2}, {"x": 4})
    assert mixed.words("weights", 3) == "0 to 7 bits in 2 layers with widths of their own, else 3 bits"
    assert mixed.words("activations", 3) == "4 bits in 1 layer with widths of their own, else 3 bits"
    assert Mixed().words("weights", 3) == "3 bits"


def test_the_sections_are_read_as_they_are_written(tmp_path: Path) -> None:
    mine = model(tmp_path, mixed=MIXED + '\n[mixed.schemes]\npointwise = "post"\n')
    assert mine.mixed is not None
    again = model(tmp_path / "again", mixed=mine.mixed.toml())
    assert again.mixed == mine.mixed
