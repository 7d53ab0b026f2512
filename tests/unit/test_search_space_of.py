"""The space of a model, hand-counted, and choices of widths as model files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from codesign import zoo
from codesign.errors import UserError
from codesign.search.mixed_model import assignment_of, mixed_of, write_model
from codesign.search.space import ActivationLayer, Assignment, WeightLayer
from codesign.search.space_of import space_of
from codesign.train.recipe import Recipe


def test_the_space_of_the_digits_network() -> None:
    space = space_of(zoo.load("digits_cnn_w3"))
    assert space.layers == (
        WeightLayer("depthwise", 16, 9, 9 * 16, 3, 1, 4, True, "act1"),
        WeightLayer("pointwise", 32, 16, 16 * 16, 1, 1, 4, False, "act2"),
    )
    assert space.activations == (ActivationLayer("act1", 16, 8 * 8 * 16), ActivationLayer("act2", 16, 4 * 4 * 16))
    # 8-bit weights of the first layer on 5-bit pixels, and of the last one on 8 bits.
    assert space.fixed_bit_operations == 8 * 8 * 9 * 16 * 8 * 5 + 32 * 2 * 2 * 10 * 8 * 8
    uniform = space.bit_operations(space.uniform(3, 4))
    assert uniform == space.fixed_bit_operations + 12 * (16 * 16 * 9 + 16 * 16 * 32)


@pytest.mark.parametrize("name", ["resnet8_fp", "resnet8_w4"])
def test_the_space_of_resnet8(name: str) -> None:
    space = space_of(zoo.load(name))
    assert [(r.name, r.channels, r.weights, r.size, r.stride, r.kernel, r.activation) for r in space.layers] == [
        ("stack1.conv1", 16, 144, 32, 1, 3, "act"),
        ("stack1.conv2", 16, 144, 32, 1, 3, "stack1.act1"),
        ("stack2.conv1", 32, 144, 16, 2, 3, "stack1.act2"),
        ("stack2.conv2", 32, 288, 16, 1, 3, "stack2.act1"),
        ("stack2.shortcut", 32, 16, 16, 2, 1, "stack1.act2"),
        ("stack3.conv1", 64, 288, 8, 2, 3, "stack2.act2"),
        ("stack3.conv2", 64, 576, 8, 1, 3, "stack3.act1"),
        ("stack3.shortcut", 64, 32, 8, 2, 1, "stack2.act2"),
    ]
    assert all(row.macs == row.weights * row.size**2 for row in space.layers)
    assert [(row.name, row.channels, row.elements) for row in space.activations] == [
        ("act", 16, 16 * 32 * 32),
        ("stack1.act1", 16, 16 * 32 * 32),
        ("stack1.act2", 16, 16 * 32 * 32),
        ("stack2.act1", 32, 32 * 16 * 16),
        ("stack2.act2", 32, 32 * 16 * 16),
        ("stack3.act1", 64, 64 * 8 * 8),
    ]
    stem, dense = 32 * 32 * 27 * 16, 640
    assert space.fixed_bit_operations == 64 * (stem + dense)
    hidden = sum(row.macs * row.channels for row in space.layers)
    assert hidden + stem + dense == 12_501_632
    assert space.bit_operations(space.uniform(2, 3)) == space.fixed_bit_operations + 6 * hidden


def test_a_layer_that_reads_a_sum_has_no_width_to_choose() -> None:
    with pytest.raises(UserError, match=r"the layer block2.conv of resnet9_teacher_fp reads 'add', which has no width"):
        space_of(zoo.load("resnet9_teacher_fp"))


def test_a_model_of_another_framework_has_no_space() -> None:
    with pytest.raises(UserError, match="digits_qkeras_w4 is of the framework qkeras"):
        space_of(zoo.load("digits_qkeras_w4"))


@pytest.mark.parametrize("name", ["resnet8_w4", "resnet8_fp"])
def test_a_choice_becomes_a_model_and_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("CODESIGN_MODELS", str(tmp_path))
    source = zoo.load(name)
    space = space_of(source, schemes=("uniform", "post"))
    uniform = space.uniform(4, 3)
    weights = uniform.weights | {"stack1.conv1": (0, 1, 2, 3, 4, 5, 6, 7) * 2, "stack3.shortcut": (5,) * 64}
    chosen = Assignment(weights, uniform.activations | {"stack2.act1": 1}, {"stack3.shortcut": "post"})
    space.check(chosen)
    title = 'one "line"\nand more'
    made = write_model(source, chosen, tmp_path / "found.toml", title=title)
    assert assignment_of(zoo.load("found"), space) == chosen
    assert made.title == 'one "line" and more'
    assert (made.widths.weight_bits, made.widths.activation_bits) == (7, 3)
    assert made.recipe == msgspec.structs.replace(source.recipe, init_from=name)
    assert (made.dataset, made.topology, made.input_scale) == (source.dataset, source.topology, source.input_scale)
    assert made.result == zoo.Result()
    assert made.sibling(name).path == source.path
    assert "[mixed.weights]" in (tmp_path / "found.toml").read_text()
    made.module()
    again = tmp_path / "again.toml"
    write_model(source, chosen, again, title=title)
    assert again.read_bytes() == (tmp_path / "found.toml").read_bytes()


def test_uniform_models_are_points_of_their_space() -> None:
    for name, scheme in (("resnet8_w4", {}), ("resnet8_post_w4", "post")):
        source = zoo.load(name)
        space = space_of(source, schemes=("uniform", "post"))
        found = assignment_of(source, space)
        assert (found.weights, found.activations) == (space.uniform(4, 4).weights, space.uniform(4, 4).activations)
        assert found.schemes == (dict.fromkeys(found.weights, scheme) if scheme else {})
    source = zoo.load("resnet8_bitat_w1")
    with pytest.raises(UserError, match="bitat weights"):
        assignment_of(source, space_of(source))


def test_options_and_another_recipe_are_written(tmp_path: Path) -> None:
    source = zoo.load("digits_cnn_w3")
    space = space_of(source)
    recipe = Recipe(epochs=2, learning_rate=1e-4, validation=200, flip=True)
    made = write_model(source, space.uniform(3, 3), tmp_path / "short.toml", recipe=recipe)
    assert made.topology_options == {"channels": 16}
    assert made.recipe == msgspec.structs.replace(recipe, init_from="digits_cnn_w3")
    assert made.mixed == mixed_of(space.uniform(3, 3))
    assert made.mixed is not None
    assert made.mixed.weights == {"depthwise": 3, "pointwise": 3}


def test_wide_post_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mixed.weights.a' must be 0 to 5, found 6"):
        mixed_of(Assignment({"a": (6, 3)}, {}, {"a": "post"}))
