"""Which saved models keep quantizers for QKeras, given as strings and as objects."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("qkeras") is None, reason="needs QKeras: pip install '.[qkeras]'"
)

X = np.random.default_rng(1).normal(size=(6, 7, 7, 2)).astype(np.float32)


def network(convolution: Any, dense: Any) -> Any:
    """A network that has seen a batch."""
    from codesign.quant.keras import lsq
    from codesign.quant.qkeras_runtime import runtime

    _, keras, qkeras = runtime()
    assert lsq.LsqActivation
    inputs = keras.layers.Input(X.shape[1:])
    x = qkeras.QConv2D(4, 3, kernel_quantizer=convolution, use_bias=False)(inputs)
    x = keras.layers.Flatten()(qkeras.QActivation("LsqActivation(4)")(x))
    made = keras.Model(inputs, qkeras.QDense(3, kernel_quantizer=dense)(x))
    made(X)
    return made


def objects() -> Any:
    from codesign.quant.keras import lsq, post

    return network(post.PostWeight(4), lsq.LsqWeight(4))


def strings() -> Any:
    return network("PostWeight(4)", "LsqWeight(4)")


def loaded(path: Path) -> Any:
    from codesign.quant.qkeras_runtime import runtime

    _, keras, qkeras = runtime()
    known: dict[str, Any] = {}
    qkeras.utils._add_supported_quantized_objects(known)
    return keras.models.load_model(path, custom_objects=known, compile=False)


@pytest.mark.parametrize("make", [objects, strings])
@pytest.mark.parametrize("name", ["network.keras", "network.h5"])
def test_files_keep_strings_and_objects(tmp_path: Path, make: Any, name: str) -> None:
    made = make()
    for variable in made.trainable_variables:
        variable.assign(variable * 1.1)
    made.save(tmp_path / name)
    found = loaded(tmp_path / name)
    assert np.array_equal(found(X), made(X))
    assert [type(q).__name__ for q in found.layers[1].get_quantizers() if q] == ["PostWeight"]
    for one, other in zip(made.trainable_variables, found.trainable_variables, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


def test_a_saved_model_keeps_strings_alone(tmp_path: Path) -> None:
    """What the package's description says of objects; when it no longer fails, that may go."""
    made = strings()
    made.save(tmp_path / "strings", save_format="tf")
    assert np.array_equal(loaded(tmp_path / "strings")(X), made(X))
    objects().save(tmp_path / "objects", save_format="tf")
    with pytest.raises(AttributeError, match="'dict' object has no attribute '_serialized_attributes'"):
        loaded(tmp_path / "objects")


@pytest.mark.parametrize(
    ("quantizer", "learned"),
    [
        *((f"{name}Weight(4)", True) for name in ("Lsq", "Post", "Pot", "Apot")),
        ("DorefaWeight(4)", False),
        ("SignWeight()", False),
    ],
)
def test_qkeras_saves_quantised_weights_of_scales_that_are_not_learned(quantizer: str, learned: bool) -> None:
    """What the package's description says of `model_save_quantized_weights`."""
    from codesign.quant.keras import register
    from codesign.quant.qkeras_runtime import runtime

    register()
    save = runtime().qkeras.utils.model_save_quantized_weights
    made = network("quantized_bits(4, 0, 1)", quantizer)
    dense = made.layers[-1]
    expected = dense.kernel_quantizer_internal(dense.kernel).numpy()
    if learned:
        with pytest.raises(ValueError, match="set_weights"):
            save(made)
        return
    kernel, bias = save(made)[dense.name]["weights"]
    assert np.array_equal(kernel, expected)
    assert bias.shape == (3,)


def test_qkeras_takes_a_learned_scale_for_a_bias() -> None:
    from codesign.quant.qkeras_runtime import runtime

    made = network("PostWeight(4)", "quantized_bits(4, 0, 1)")
    convolution = made.layers[1]
    expected = convolution.kernel_quantizer_internal(convolution.kernel).numpy()
    kernel, scale = runtime().qkeras.utils.model_save_quantized_weights(made)[convolution.name]["weights"]
    assert np.array_equal(kernel, expected)
    assert np.array_equal(scale, convolution.kernel_quantizer_internal.clip.numpy())
