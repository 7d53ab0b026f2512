"""Our operators as hls4ml layers, registered through its extension API, once in a process."""

from __future__ import annotations

import functools
from typing import Any

from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.layers import Layer, register_layer

from codesign import resources
from codesign.backends.hls4ml import ops

BACKEND = "Vitis"
FORK = "fork"
"""Kernel that the connection of edges needs besides the operators."""


class IntegerLayer(Layer):
    """A layer whose edges, configuration and call were decided by our backend.

    Attributes in the layer list: ``shape`` (of every output), ``kernel`` (function), ``config_struct`` (C++),
    ``arguments`` (tables), ``headers`` and ``trace_lines`` (C++ after the call).
    """

    def initialize(self) -> None:
        """Add the output variables, named like the edges; hls4ml has one type per layer, so they share it."""
        for name in self.outputs:
            precision, _ = self.model.config.get_precision(self, var="result")
            self.add_output_variable(
                self.get_attr("shape"),
                out_name=name,
                var_name=name,
                type_name=f"{self.name}_t",
                precision=precision,
            )


def layer_class(operator: str) -> str:
    """Return the name of the hls4ml layer class of an operator."""
    # Several passes of hls4ml look for "Dense" or "Conv" inside class names: keep out of their way.
    return f"Codesign_{operator}"


@functools.cache
def register() -> None:
    """Register layers, templates and headers with hls4ml's Vitis backend; later calls do nothing."""
    backend = get_backend(BACKEND)
    for operator in sorted([*ops.by_name(), FORK]):
        name = layer_class(operator)
        cls = type(name, (IntegerLayer,), {"__doc__": f"The operator {operator} of the integer graph."})
        register_layer(name, cls)
        backend.register_template(_template(_Config, cls))
        backend.register_template(_template(_Call, cls))
    for header in sorted((resources.folder("hw") / "hls").glob("*.h")):
        backend.register_source(header.resolve())


def _template(base: type, cls: type) -> type:
    # hls4ml wants a template class without arguments for every layer class.
    return type(f"{cls.__name__}{base.__name__}", (base,), {"layer": cls})


class _Config(LayerConfigTemplate):
    layer: type

    def __init__(self) -> None:
        super().__init__(self.layer)

    def format(self, node: Any) -> str:
        return str(node.get_attr("config_struct"))


class _Call(FunctionCallTemplate):
    layer: type

    def __init__(self) -> None:
        super().__init__(self.layer)

    def transform(self, model: Any, node: Any) -> bool:
        result = super().transform(model, node)
        node.set_attr("include_header", list(node.get_attr("headers")))
        return bool(result)

    def format(self, node: Any) -> list[str]:
        inputs = [node.get_input_variable(name) for name in node.inputs]
        outputs = [node.get_output_variable(name) for name in node.outputs]
        types = [variable.type.name for variable in (*inputs, *outputs)]
        arguments = [variable.name for variable in (*inputs, *outputs)] + list(node.get_attr("arguments"))
        function = f"codesign::{node.get_attr('kernel')}<{', '.join(types)}, config_{node.name}>"
        return [f"{function}({', '.join(arguments)});", *node.get_attr("trace_lines")]
