"""hls4ml's own converter as a witness: the model it makes of a QKeras or QONNX file, C-simulated, beside golden.

Nothing of our backends takes part: hls4ml reads the model itself, and its own layers compute in ``ap_fixed``. That
gives the same integers where all scales are powers of two, once the precisions are told that hls4ml does not find by
itself; see `tell_keras`. It runs in a Python of its own, as hls4ml wants another Keras than TensorFlow's default.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.errors import UserError
from codesign.frontends import witness
from codesign.ir import Graph, IntType, golden
from codesign.toolchain import gpp
from codesign.toolchain.run import run
from codesign.verify.compare import FirstDifference, VerifyResult

if TYPE_CHECKING:
    from codesign.zoo import Model

BACKEND = "Vitis"
WIDE = "fixed<32,16>"
"""What is told to no layer in particular, and averages: 16 fraction bits hold a mean of up to 65,536 values."""
CONSTANTS = "fixed<48,16>"
"""Factors and shifts of batch norms, which are no powers of two."""
HOURS = 3600.0


def verify_stock(model: Model, x: np.ndarray, folder: Path) -> VerifyResult:
    """Compare the output of hls4ml's own conversion of a QKeras model with golden.

    Parameters
    ----------
    model : Model
        Of the zoo, trained with QKeras' own quantisers.
    x : ndarray of int, shape (frames, *input shape)
    folder : Path
        Gets hls4ml's project and its log.

    Raises
    ------
    UserError
        When the model is of another framework, or hls4ml, QKeras or g++ is missing or fails.
    """
    if model.framework != "qkeras":
        raise UserError(
            f"hls4ml's own converter reads QKeras models here, and {model.name} is of {model.framework}; "
            "verify it with --backend csim."
        )
    graph = model.graph()
    found = golden.run(graph, x)
    real = simulate("keras", model.path, graph, x, folder)
    return compared(graph, found, real)


def compared(graph: Graph, found: np.ndarray, real: np.ndarray) -> VerifyResult:
    """Compare golden's output with real numbers on its scale; see `witness.output_integers`."""
    expected = witness.output_integers(graph, found, real)
    unequal = expected != found
    first = None
    if unequal.any():
        element = tuple(int(axis) for axis in np.unravel_index(int(unequal.argmax()), unequal.shape))
        first = FirstDifference(witness.OUTPUT, "output", "", element, int(expected[element]), int(found[element]))
    return VerifyResult(int(np.count_nonzero(unequal)), len(found), 1, found.size, first)


def simulate(
    kind: str, path: str | Path, graph: Graph, x: np.ndarray, folder: Path, *, layout: str = "NHWC"
) -> np.ndarray:
    """Convert a model in a Python of its own, C-simulate it and return its output, float64, frames first.

    Parameters
    ----------
    kind : {"keras", "onnx"}
        What `path` is: the TOML file of a model, or a QONNX file.
    path : path
    graph : Graph
        Our conversion of the same model, whose input type and scale hls4ml is told.
    x : ndarray of int, shape (frames, *input shape)
    folder : Path
    layout : {"NHWC", "NCHW"}
        Axes of frames in the model; those of `x` are channels last.
    """
    gpp.require()
    folder = folder.absolute()
    x = golden.checked_input(graph, x)
    scale, tensor = graph.scales[graph.inputs[0]].factor, graph.input
    real_x = x * scale
    if x.ndim == 4 and layout == "NCHW":
        real_x = np.moveaxis(real_x, -1, 1)
    with tempfile.TemporaryDirectory(prefix="codesign-stock-") as place:
        frames, result = Path(place) / "frames.npy", Path(place) / "result.npy"
        np.save(frames, real_x, allow_pickle=False)
        about = {
            "kind": kind, "path": str(Path(path).absolute()), "frames": str(frames), "result": str(result),
            "folder": str(folder / "project"), "input": fixed(tensor.type, scale),
        }  # fmt: skip
        done = run(
            [sys.executable, "-m", "codesign.verify.hls4ml_stock", json.dumps(about)],
            log=folder / "hls4ml.log",
            timeout_s=HOURS,
            environment={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        if done.returncode != 0 or not result.is_file():
            raise UserError(f"hls4ml's own conversion failed ({done.tail(1)[:200]}); see {done.log}.")
        real: np.ndarray = np.load(result, allow_pickle=False)
    return real.reshape(len(x), -1)


def fixed(type: IntType, scale: float) -> str:
    """Return the fixed-point type of hls4ml whose steps are `scale`, a power of two.

    Raises
    ------
    UserError
        When it is none.
    """
    mantissa, exponent = np.frexp(scale)
    if mantissa != 0.5:
        raise UserError(f"one step of the input is {scale}, which is no power of two and so no type of hls4ml.")
    return f"{'' if type.signed else 'u'}fixed<{type.bits},{type.bits + int(exponent) - 1}>"


# What follows runs in the other Python. --------------------------------------------------------------------------


def main(about: dict[str, str]) -> None:
    """Convert, compile and run a model."""
    x = np.load(about["frames"], allow_pickle=False)
    make = {"keras": _from_keras, "onnx": _from_onnx}[about["kind"]]
    model = make(about)
    model.compile()
    np.save(about["result"], np.asarray(model.predict(np.ascontiguousarray(x)), dtype=np.float64), allow_pickle=False)


def _from_keras(about: dict[str, str]) -> Any:
    from codesign import zoo

    network = zoo.read(Path(about["path"])).build()
    return convert_keras(network, about["input"], about["folder"])


def convert_keras(network: Any, input_precision: str, folder: str) -> Any:
    """Return what `convert_from_keras_model` makes of a QKeras network.

    hls4ml must not have been imported before: it takes the module named keras for the Keras of the network.
    """
    import tf_keras

    sys.modules["keras"] = tf_keras
    from hls4ml.converters import convert_from_keras_model
    from hls4ml.utils import config_from_keras_model

    network = unshared(network, tf_keras)
    config = config_from_keras_model(network, granularity="name", backend=BACKEND, default_precision=WIDE)
    tell_keras(network, config, input_precision)
    model = convert_from_keras_model(
        network, hls_config=config, backend=BACKEND, output_dir=folder, io_type="io_stream", project_name="network"
    )
    for layer in model.get_layers():
        if layer.class_name == "DepthwiseConv2D":
            # Scales are in these weights, for which the type of the quantiser alone, which hls4ml takes, has no room.
            weight = layer.weights["weight"]
            weight.type.precision.width, weight.type.precision.integer = 32, 16
            weight.update_precision(weight.type.precision)
    return model


def unshared(network: Any, keras: Any) -> Any:
    """Return the network with a layer of its own for each call, and an input not named "input".

    hls4ml has both calls of a layer in one place, and keeps the name "input" for itself.
    """
    made: dict[int, Any] = {}
    calls: dict[str, int] = {}
    entry = network.inputs[0]
    made[id(entry)] = first = keras.layers.Input(entry.shape[1:], name="frame")
    for depth in sorted(network._nodes_by_depth, reverse=True):
        for node in network._nodes_by_depth[depth]:
            layer = node.layer
            if id(node.outputs) in made or isinstance(layer, keras.layers.InputLayer):
                continue
            count = calls[layer.name] = calls.get(layer.name, 0) + 1
            settings = layer.get_config()
            settings["name"] = layer.name if count == 1 else f"{layer.name}_{count}"
            copy = type(layer).from_config(settings)
            read = [made[id(tensor)] for tensor in _listed(node.input_tensors)]
            made[id(node.outputs)] = copy(read if len(read) > 1 else read[0])
            if layer.weights:
                copy.set_weights(layer.get_weights())
    return keras.Model(first, made[id(network.outputs[0])])


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def tell_keras(network: Any, config: dict[str, Any], input_precision: str) -> None:
    """Tell hls4ml the precisions that it does not find by itself, in the configuration of a network.

    The type of the input; factors and shifts of batch norms; means, which it cuts to the bits of what they are of; what
    a quantiser without an activation makes, as hls4ml drops such a layer where the one before it has no type yet, and
    its rounding with it; and sums of a depthwise convolution, which hls4ml 1.3 joins wrongly with the batch norm behind
    it unless they have a type.
    """
    layers = config["LayerName"]
    layers["frame"]["Precision"]["result"] = input_precision
    for layer in network.layers:
        entry = layers.get(layer.name, {}).get("Precision")
        kind = type(layer).__name__
        if kind == "BatchNormalization":
            entry.update(scale=CONSTANTS, bias=CONSTANTS)
        elif kind == "QDepthwiseConv2D":
            entry.update(accum=WIDE, result=WIDE)
        elif kind in ("AveragePooling2D", "GlobalAveragePooling2D"):
            entry["result"] = WIDE
        elif kind == "QActivation" and "quantized_bits" in str(layer.get_config()["activation"]):
            before = layer.input._keras_history.layer
            if before.name in layers and len(before._outbound_nodes) == 1:
                layers[before.name]["Precision"]["result"] = entry["result"]


def _from_onnx(about: dict[str, str]) -> Any:
    """Return what `convert_from_onnx_model` makes of a QONNX file, cleaned as its documentation wants it."""
    from hls4ml.converters import convert_from_onnx_model
    from hls4ml.utils import config_from_onnx_model
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.util.cleanup import cleanup_model

    model = cleanup_model(ModelWrapper(about["path"]))
    shape = model.get_tensor_shape(model.graph.input[0].name)
    if len(shape) == 4:
        model = cleanup_model(model.transform(ConvertToChannelsLastAndClean()))
    config = config_from_onnx_model(model, granularity="name", backend=BACKEND, default_precision=WIDE)
    entry = config["LayerName"].get(model.graph.input[0].name)
    if entry is not None:
        entry["Precision"]["result"] = about["input"]
    return convert_from_onnx_model(
        model, hls_config=config, backend=BACKEND, output_dir=about["folder"], io_type="io_stream",
        project_name="network",
    )  # fmt: skip


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
