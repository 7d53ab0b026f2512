"""Tracing a module into a graph of layers, under names of our own."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from codesign.errors import UserError


class _LayerTracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _is_layer(m)


def trace(model: nn.Module) -> fx.GraphModule:
    """Return the module as an fx graph whose leaves are the layers of torch and Brevitas.

    `label` tells what a node is called in `model`; its target is a name of ours, because torch.fx writes targets
    into Python source, and a layer's name may hold anything.

    Raises
    ------
    UserError
        When its forward pass depends on data and cannot be traced, when layers have forward hooks, or when it
        is not on the CPU. The module is left in evaluation mode.
    """
    for name, parameter in model.named_parameters():
        if parameter.device.type != "cpu":
            raise UserError(f"the parameter {name!r} lies on {parameter.device}; move the model with model.cpu().")
    for name, module in model.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            raise UserError(
                f"layer {name or type(module).__name__!r} has forward hooks, whose work no graph would do; "
                "remove them before the import, or write what they do as layers."
            )
    model.eval()
    if _is_layer(model):
        model = nn.Sequential(model)
    try:
        graph = _LayerTracer().trace(model)
    except Exception as error:  # whatever the user's forward raises under tracing
        raise UserError(
            f"the forward pass of {type(model).__name__} cannot be traced ({str(error).splitlines()[0]}); "
            "write it without branches on tensor values."
        ) from error
    parts: dict[str, Any] = {}
    names: dict[str, str] = {}
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            original = str(node.target)
            if original not in names:
                names[original] = f"part{len(names)}"
                parts[names[original]] = _find(model, original)
            node.meta["label"] = original
            node.target = names[original]
    return fx.GraphModule(parts, graph).eval()


def label(node: fx.Node) -> str:
    """Return what a node is called in the user's module: a layer's path, or the name of the operation."""
    return str(node.meta.get("label", node.name))


def constant(traced: fx.GraphModule, node: fx.Node) -> torch.Tensor | None:
    """Return the tensor that a `get_attr` node reads, or None when it reads something else."""
    found = getattr(traced, str(node.target))
    return found if isinstance(found, torch.Tensor) else None


def _is_layer(module: nn.Module) -> bool:
    """Tell whether a module computes as a layer of torch or Brevitas does: by the place its `forward` comes from."""
    if isinstance(module, (nn.Sequential, nn.ModuleList)):
        return False
    return type(module).forward.__module__.startswith(("torch.nn", "brevitas.", "codesign.quant"))


def _find(model: nn.Module, path: str) -> Any:
    found: Any = model
    for part in path.split("."):
        found = getattr(found, part)
    return found
