"""QONNX files to integer graphs.

A file is read by `qonnx_file`, walked by `qonnx_walk`. What an integer means is kept exactly; beside it, what the
qonnx executor computes in float32 for that integer, so that every quantiser gives the executor's integers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qonnx_file, qonnx_quantizers
from codesign.frontends.lowering import Lowering
from codesign.frontends.qonnx_constants import Constant
from codesign.frontends.qonnx_file import GENERAL, File
from codesign.frontends.qonnx_float32 import Step
from codesign.frontends.qonnx_requantize import Open
from codesign.frontends.qonnx_stream import INTEGERS, LayoutError, Stream
from codesign.frontends.qonnx_walk import Walk, is_integer
from codesign.ir.graph import Graph
from codesign.ir.types import IntType

MAX_FEATURES = 1 << 20
LAYOUTS = ("NCHW", "NHWC")


@dataclass(frozen=True, eq=False)
class Imported:
    """A converted file.

    Parameters
    ----------
    graph : Graph
        Simplified.
    file : File
    input_scale : float
        The file's input is input_scale · integer.
    layout : str
        Axes of the file's input: "NCHW", "NHWC" or "NF".
    output_axes : str
        Axes of the file's output, in the same letters.
    output_error : float
        How far the executor's float32 output may be from what the integers before the graph's output mean.
    open : tuple of Open
        Quantisers with steps that float32 leaves open.
    output_plain : bool
        Whether the graph's output is that of the file on one scale; otherwise its bias was rounded.
    """

    graph: Graph
    file: File
    input_scale: float
    layout: str
    output_axes: str
    output_error: float
    open: tuple[Open, ...]
    output_plain: bool = False

    @property
    def settled(self) -> bool:
        """Whether the executor's float32 gives every integer, and the output to a quarter of its unit."""
        unit = self.graph.scales[self.graph.outputs[0]].factor
        return not self.open and self.output_error <= unit / 4


def from_qonnx(
    path: str | os.PathLike[str],
    *,
    input_type: IntType | None = None,
    input_scale: float | None = None,
    layout: str | None = None,
    name: str = "network",
) -> Graph:
    """Convert a QONNX file to an integer graph.

    Parameters
    ----------
    path : path
        An ONNX file with the quantisers of QONNX, as Brevitas and FINN write it.
    input_type : IntType, optional
        Integers that the sensor gives; unsigned 8 bits by default.
    input_scale : float, optional
        The file's input is input_scale · integer. Without it, the input is annotated with an integer type, or read by
        one Quant alone: the graph then takes those integers.
    layout : {"NCHW", "NHWC"}, optional
        Axes of a frame in the file; found out by what reads it when not given.
    name : str
        For people.

    Returns
    -------
    Graph
        Its input is channels last: (height, width, channels) or (features,).

    Raises
    ------
    UserError
        When `onnx` is not installed, or the file is not right; or naming the node that has no exact integer form, and
        what to do instead.
    """
    return import_qonnx(path, input_type=input_type, input_scale=input_scale, layout=layout, name=name).graph


def import_qonnx(
    path: str | os.PathLike[str],
    *,
    input_type: IntType | None = None,
    input_scale: float | None = None,
    layout: str | None = None,
    exact: bool = True,
    name: str = "network",
) -> Imported:
    """Convert as `from_qonnx` does, and keep what was found out on the way.

    `exact` as False lets wide quantisers have multipliers of 17 bits, as the other frontends do: cheaper, and at few
    integers one off.
    """
    return convert(
        qonnx_file.read(path), input_type=input_type, input_scale=input_scale, layout=layout, exact=exact, name=name
    )


def convert(
    file: File,
    *,
    input_type: IntType | None = None,
    input_scale: float | None = None,
    layout: str | None = None,
    exact: bool = True,
    name: str = "network",
) -> Imported:
    """Convert a file that has been read; see `import_qonnx`."""
    if layout not in (None, *LAYOUTS):
        raise UserError(f"the layout is one of {', '.join(LAYOUTS)}, not {layout!r}.")
    if input_scale is not None and not (np.isfinite(input_scale) and input_scale > 0):
        raise UserError(f"the input scale is a positive number, not {input_scale}.")
    batch, *extents = file.shape if file.shape else (None,)
    if len(extents) not in (1, 3) or any(extent is None for extent in extents):
        raise UserError(
            f"the input {qonnx_file.clean(file.input)!r} has the shape {file.shape}; only (frames, features) and "
            "frames of three axes with fixed extents are supported."
        )
    sizes = [int(extent or 0) for extent in extents]
    candidates = ("NF",) if len(sizes) == 1 else (layout,) if layout else LAYOUTS
    first: LayoutError | None = None
    for axes in candidates:
        try:
            return _convert(file, sizes, axes, batch or 1, input_type, input_scale, exact, name)
        except LayoutError as error:
            first = first or error
    raise UserError(str(first)) from first


def _convert(
    file: File,
    sizes: Sequence[int],
    axes: str,
    batch: int,
    type: IntType | None,
    scale: float | None,
    exact: bool,
    name: str,
) -> Imported:
    if int(np.prod(sizes, dtype=object)) > MAX_FEATURES:
        raise UserError(f"the input has {sizes} numbers per frame; at most {MAX_FEATURES:,} are supported.")
    if scale not in (None, 1.0) and is_integer(file.annotations.get(file.input, "")):
        raise UserError(
            "the file says that its input is integers; leave out the input scale, or remove the annotation."
        )
    if scale is None:
        annotated = _annotated(file)
        if annotated is not None:
            type, scale = type or annotated, 1.0
        else:
            quantizer = _leading_quantizer(file)
            scale = float(quantizer.affines[0].scale)
            type = type or IntType.for_range(quantizer.low, quantizer.high)
    lowering = Lowering(name)
    start = input_stream(lowering, file, axes, type or IntType(8, signed=False), scale)
    walk = Walk(file, lowering, {file.input: start}, batch, exact)
    graph = walk.run()
    return Imported(graph, file, scale, axes, walk.output_axes, walk.output_error, tuple(walk.open), walk.output_plain)


def input_stream(lowering: Lowering, file: File, axes: str, type: IntType, scale: float) -> Stream:
    """Add the graph's input: what the file's input of these axes stands for, as the executor is given it."""
    sizes = [int(extent or 0) for extent in file.shape[1:]]
    frame = tuple(sizes) if axes == "NF" else tuple(sizes[axes.index(axis) - 1] for axis in "HWC")
    single = np.float32(scale)
    if float(single) != scale:
        raise UserError(f"the input scale {scale} is no float32 number; give a power of two, such as 0.00390625.")
    value = lowering.input(frame, type, [scale], [0.0])
    return Stream(value.edge, value.affines, INTEGERS, (Step("mul", (np.asarray(single),)),), axes)


def _annotated(file: File) -> IntType | None:
    """Return the integers that the file says its input to be."""
    kind = file.annotations.get(file.input, "")
    if kind in ("BINARY", "TERNARY", "BIPOLAR"):
        return IntType(1, signed=False) if kind == "BINARY" else IntType(2, signed=True)
    for prefix, signed in (("UINT", False), ("INT", True)):
        if kind.startswith(prefix) and kind[len(prefix) :].isascii() and kind[len(prefix) :].isdigit():
            bits = int(kind[len(prefix) :][:4])
            if 1 <= bits <= qonnx_quantizers.MAX_ACTIVATION_BITS:
                return IntType(bits, signed)
    return None


def _leading_quantizer(file: File) -> qonnx_quantizers.Quantizer:
    """Return the function of the one quantiser that reads the input."""
    readers = [node for node in file.nodes if file.input in node.inputs]
    if len(readers) == 1 and readers[0].op in ("Quant", "IntQuant") and readers[0].domain == GENERAL:
        node = readers[0]
        found = _parameters(file, node.inputs[1:])
        if found is not None and all(constant.values.size == 1 for constant in found):
            parameters = qonnx_quantizers.read_quant(node, found)
            return qonnx_quantizers.quant(node, parameters, lambda values: values.reshape(()))
    raise UserError(
        "the network reads its float input without one Quant that says what the integers are; say by input_scale "
        "(--input-scale) what one step of the sensor's integers is, or begin the network with a Quant of one scale."
    )


def _parameters(file: File, names: Sequence[str]) -> list[Constant] | None:
    """Return constants by name, from initializers or Constant nodes; None when one is neither."""
    from codesign.frontends.qonnx_folding import fold

    made = {node.outputs[0]: node for node in file.nodes if (node.domain, node.op) == ("", "Constant")}
    found = []
    for name in names:
        if name in file.constants:
            found.append(Constant(file.constants[name]))
        elif name in made:
            found.append(fold(made[name], [], f"node {made[name].label!r}"))
        else:
            return None
    return found
