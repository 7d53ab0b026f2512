"""An ONNX file under construction: nodes, constants, shapes and QONNX datatypes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codesign.errors import UserError

OPSET = 11
"""Of standard operators: the one that `qonnx` and FINN work with."""
IR_VERSION = 8
"""Of the file format: old enough for the ONNX Runtime in FINN's container."""
GENERAL = "qonnx.custom_op.general"
"""Domain of QONNX's own operators."""
DATATYPE = "finn_datatype"
"""Key of the QONNX datatype among the annotations of a tensor."""

INSTALL = "pip install 'codesign[qonnx]'"


def require_onnx() -> None:
    """Raise `UserError` unless the package `onnx` is installed."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise UserError(f"writing ONNX files needs the package onnx; install it with: {INSTALL}.") from error


class Document:
    """An ONNX graph of one frame: tensors have a batch axis of extent 1.

    Parameters
    ----------
    name : str
        Of the graph inside the file; the same for all users' models.
    """

    def __init__(self, name: str = "network") -> None:
        require_onnx()
        self._name = name
        self._nodes: list[dict[str, Any]] = []
        self._constants: dict[str, np.ndarray] = {}
        self._tensors: dict[str, tuple[tuple[int, ...], Any]] = {}
        self._annotations: dict[str, dict[str, str]] = {}
        self._inputs: list[str] = []
        self._outputs: list[str] = []
        self._number = 0

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of a tensor, batch included."""
        return self._tensors[tensor][0]

    def dtype(self, tensor: str) -> Any:
        """Return the NumPy type that carries a tensor."""
        return self._tensors[tensor][1]

    def tensors(self) -> list[str]:
        """Return the names of all tensors and constants."""
        return list(self._tensors)

    def input(self, name: str, shape: Sequence[int], dtype: Any, datatype: str) -> None:
        """Add an input of the graph."""
        self._declare(name, shape, dtype, datatype)
        self._inputs.append(name)

    def output(self, name: str) -> None:
        """Let a tensor leave the graph."""
        self._outputs.append(name)

    def constant(self, stem: str, values: np.ndarray, datatype: str | None = None) -> str:
        """Add a constant and return its name.

        Parameters
        ----------
        stem : str
            Beginning of the name, such as the node that reads it.
        values : ndarray
            In the type that carries them.
        datatype : str, optional
            QONNX datatype.
        """
        name = self._fresh(stem)
        values = np.ascontiguousarray(values)
        self._constants[name] = values
        self._declare(name, values.shape, values.dtype.type, datatype)
        return name

    def node(
        self,
        stem: str,
        kind: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        dtype: Any,
        *,
        datatype: str | None = None,
        domain: str = "",
        before: Sequence[str] = (),
        **attributes: Any,
    ) -> str:
        """Add a node and return its output's name.

        Parameters
        ----------
        stem : str
            Beginning of the names, the node of the integer graph.
        kind : str
            Operator of the domain.
        inputs : sequence of str
            Tensors.
        shape, dtype, datatype
            Of the output.
        before : sequence of str
            Tensors, declared by `unread`, that the node makes before its output.
        **attributes
            Integers, floats, strings or lists of integers.
        """
        name = self._fresh(stem)
        self._declare(name, shape, dtype, datatype)
        self._nodes.append(
            {
                "kind": kind,
                "inputs": list(inputs),
                "before": list(before),
                "output": name,
                "domain": domain,
                "attributes": attributes,
            }
        )
        return name

    def unread(self, stem: str, shape: Sequence[int], dtype: Any) -> str:
        """Declare a tensor that a node makes and nothing reads, and return its name."""
        name = self._fresh(stem)
        self._declare(name, shape, dtype, None)
        return name

    def annotate(self, tensor: str, key: str, value: str) -> None:
        """Add a quantisation annotation beside the datatype."""
        self._annotations.setdefault(tensor, {})[key] = value

    def rename(self, old: str, new: str, datatype: str) -> None:
        """Give the output of the newest node its final name and datatype."""
        node = self._nodes[-1]
        if node["output"] != old:
            raise ValueError(f"{old} is not the newest tensor")
        node["output"] = new
        self._tensors[new] = self._tensors.pop(old)
        self._annotations[new] = {**self._annotations.pop(old, {}), DATATYPE: datatype}

    def model(self, metadata: Mapping[str, str]) -> Any:
        """Return the finished `onnx.ModelProto`."""
        import onnx
        from onnx import helper, numpy_helper

        def info(name: str) -> Any:
            shape, dtype = self._tensors[name]
            return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

        nodes = [
            helper.make_node(
                node["kind"],
                node["inputs"],
                [*node["before"], node["output"]],
                name=f"{node['kind']}_{node['output']}",
                domain=node["domain"],
                **node["attributes"],
            )
            for node in self._nodes
        ]
        ends = {*self._inputs, *self._outputs}
        graph = helper.make_graph(
            nodes,
            self._name,
            [info(name) for name in self._inputs],
            [info(name) for name in self._outputs],
            [numpy_helper.from_array(values, name) for name, values in self._constants.items()],
            # The qonnx executor looks shapes of constants up here too.
            value_info=[info(name) for name in self._tensors if name not in ends],
        )
        for name, notes in self._annotations.items():
            annotation = onnx.TensorAnnotation(tensor_name=name)
            for key, value in notes.items():
                annotation.quant_parameter_tensor_names.add(key=key, value=value)
            graph.quantization_annotation.append(annotation)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(GENERAL, 1)],
            producer_name="codesign",
            ir_version=IR_VERSION,
        )
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=value)
        return model

    def bytes(self, metadata: Mapping[str, str]) -> bytes:
        """Return the file: the same document makes the same bytes."""
        content: bytes = self.model(metadata).SerializeToString(deterministic=True)
        return content

    def _declare(self, name: str, shape: Sequence[int], dtype: Any, datatype: str | None) -> None:
        self._tensors[name] = tuple(int(extent) for extent in shape), dtype
        if datatype is not None:
            self.annotate(name, DATATYPE, datatype)

    def _fresh(self, stem: str) -> str:
        self._number += 1
        return f"{stem}_{self._number}"


def scales(factors: Mapping[str, float]) -> dict[str, str]:
    """Return the metadata that says how integers of the ends relate to real numbers."""
    return {"codesign.scales": json.dumps(dict(factors), sort_keys=True)}
