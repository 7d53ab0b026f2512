"""The Brevitas module in float64 with its frozen constants: an independent witness of the integer graph.

It walks the same traced module, but computes with real numbers, channels first, through torch's double
precision layers. Only what the frontend froze is shared: integer weights times their scales, the quantisers'
grids, and for wide quantisers the multiplier, bias and shift. Point 6 of the numeric contract: its integers
equal those of the golden executor.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from codesign.frontends import brevitas_quantizers as quantizers
from codesign.frontends import witness
from codesign.frontends.adaptive import AdaptiveStep, DenseLayer
from codesign.frontends.brevitas import Imported
from codesign.frontends.brevitas_adaptive import adaptive_quantizer, read_step
from codesign.frontends.requantize import Grid
from codesign.frontends.values import Requantization
from codesign.ir import golden
from codesign.ir.ops import Dyadic, SelectDyadic


class FrozenModel(fx.Interpreter):
    """Evaluates a converted module in float64.

    Parameters
    ----------
    imported : Imported
        From `codesign.frontends.brevitas.import_brevitas`.
    """

    def __init__(self, imported: Imported) -> None:
        super().__init__(imported.module)
        self.imported = imported
        self.frozen: dict[str, np.ndarray] = {}
        self.indices: dict[str, torch.Tensor] = {}
        self._node = ""

    def run_integers(self, x: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Evaluate raw integer frames.

        Parameters
        ----------
        x : ndarray of int, shape (frames, height, width, channels) or (frames, features)

        Returns
        -------
        tuple
            The real output (float64, as the module returns it), and for each quantiser that became an operator
            its integers, channels last, under the name of its edge in the unsimplified graph.
        """
        self.frozen, self.indices = {}, {}
        real = x.astype(np.float64) * self.imported.input_scale + self.imported.input_offset
        tensor = torch.from_numpy(np.ascontiguousarray(np.moveaxis(real, -1, 1)))
        with torch.no_grad():
            output = self.run(tensor)
        return output.numpy(), self.frozen

    def run_node(self, n: fx.Node) -> Any:
        self._node = n.name
        return super().run_node(n)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if target is getattr and args[1] in ("value", "tensor"):
            return args[0]  # of what is a QuantTensor in the module, a plain one here
        return super().call_function(target, args, kwargs)

    def call_method(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[0] if target == "float" else super().call_method(target, args, kwargs)

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module = self.imported.module.get_submodule(target)
        name = self._node
        args = args or (kwargs["input"],)
        for kind in type(module).__mro__:
            match kind.__name__:
                case "QuantConv2d" | "QuantLinear":
                    return self._linear(module, str(target), args[0], name)
                case "QuantNonLinearActLayer":
                    x = self._maybe(getattr(module, "input_quant", None), args[0], f"{name}.in", str(target))
                    return self._maybe(module.act_quant, x, name, str(target))
                case "QuantEltwiseAdd":
                    a, b = (
                        self._maybe(module.input_quant, x, f"{name}.in{i}", str(target)) for i, x in enumerate(args[:2])
                    )
                    return self._maybe(module.output_quant, a + b, f"{name}.out", str(target))
                case "BatchNorm1d" | "BatchNorm2d":
                    return self._batch_norm(module, args[0])
        return module(args[0])

    def _linear(self, module: Any, label: str, x: torch.Tensor, name: str) -> torch.Tensor:
        x = self._maybe(getattr(module, "input_quant", None), x, f"{name}.in", label)
        weights = quantizers.read_weights(module, label)
        integers = weights.values if weights.codebook is None else weights.codebook[weights.values]
        scale = weights.scale.reshape(-1, *(1,) * (integers.ndim - 1))
        weight = torch.from_numpy(integers * scale)
        frozen = self.imported.biases.get(name)
        bias = None if frozen is None else torch.from_numpy(frozen)
        if isinstance(module, nn.Linear):
            y = nn.functional.linear(x, weight, bias)
        else:
            y = nn.functional.conv2d(x, weight, bias, module.stride, module.padding, 1, module.groups)
        return self._maybe(getattr(module, "output_quant", None), y, f"{name}.out", label)

    def _batch_norm(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        gain = None if module.weight is None else module.weight.detach().double()
        bias = None if module.bias is None else module.bias.detach().double()
        return nn.functional.batch_norm(
            x, module.running_mean.double(), module.running_var.double(), gain, bias, False, 0.0, module.eps
        )

    def _maybe(self, proxy: Any, x: torch.Tensor, key: str, label: str) -> torch.Tensor:
        """Apply a quantiser, if it is one, and keep its integers."""
        if not quantizers.is_quantizer(proxy):
            return x
        low, high = quantizers.activation_bounds(proxy, label)
        clamped = torch.clamp(x, low, high) if low is not None or high is not None else x
        adaptive = adaptive_quantizer(proxy)
        if adaptive is None:
            return self._rounded(x, clamped, quantizers.read_grid(proxy, label), key)
        return self._adapted(x, clamped, read_step(adaptive, label), key)

    def _rounded(self, x: torch.Tensor, clamped: torch.Tensor, grid: Grid, key: str) -> torch.Tensor:
        """Round to a grid and keep the integers; `clamped` is `x` behind its activation function."""
        record = self.imported.lowering.requantizations.get(key)
        order = self.imported.orders.get(key)
        if record is not None and isinstance(record.op, (Dyadic, SelectDyadic)):
            # A ReLU in front is the clamp to an unsigned type behind.
            integers = self._dyadic(x, record, record.op, order)
        else:
            integers = _on_grid(clamped, grid)
        self._keep(record, integers, order)
        return integers * float(grid.scale)

    def _keep(self, record: Requantization | None, integers: torch.Tensor, order: np.ndarray | None) -> None:
        if record is not None:
            found = np.moveaxis(integers.numpy(), 1, -1).astype(np.int64)
            self.frozen[record.edge_out] = found if order is None else found[:, order]

    def _adapted(self, x: torch.Tensor, clamped: torch.Tensor, step: AdaptiveStep, key: str) -> torch.Tensor:
        """Apply an adaptive step: its factor is a function of the frame's averages."""
        rounded = self._rounded(x, clamped, step.input_grid, f"{key}.input")
        features = rounded if rounded.ndim == 2 else rounded.mean((2, 3))
        if step.hidden is not None and step.hidden_grid is not None:
            hidden = _dense(features, step.hidden)
            features = self._rounded(hidden, hidden.clamp_min(0.0), step.hidden_grid, f"{key}.hidden")
        value = _dense(features, step.output)
        boundaries = torch.tensor([float(boundary) for boundary in step.boundaries], dtype=torch.float64)
        # A value that float64 misses by its last bits has reached the boundary.
        index = (value + 1e-9 * value.abs().clamp_min(1.0) >= boundaries).sum(1)
        requantizations = self.imported.lowering.requantizations
        self._keep(requantizations[f"{key}.index"], index[:, None], None)
        self.indices[requantizations[f"{key}.index"].edge_out] = index
        factors = torch.tensor([float(factor) for factor in step.factors], dtype=torch.float64)
        factor = factors[index].reshape(-1, *(1,) * (x.ndim - 1))
        codes = _on_grid(rounded / factor, step.grid)
        self._keep(requantizations[key], codes, self.imported.orders.get(key))
        return codes * float(step.grid.scale) * factor

    def _dyadic(
        self, x: torch.Tensor, record: Requantization, op: Dyadic | SelectDyadic, order: np.ndarray | None
    ) -> torch.Tensor:
        """Quantise real values with the frozen multiplier, bias and shift instead of the real ratio.

        `order` is the torch index of each feature of the edge, where they differ.
        """
        channels = x.shape[1]
        # One row of constants for all frames, or one per frame.
        index = None if record.selector is None else self.indices[record.selector.edge]

        def rows(values: Any) -> torch.Tensor:
            table = torch.from_numpy(np.atleast_2d(np.asarray(values, dtype=np.float64)))
            wide = table if index is None else table[index]
            wide = wide.expand(wide.shape[0], channels).clone()
            if order is not None:
                wide[:, order] = wide.clone()
            return wide.reshape(wide.shape[0], channels, *(1,) * (x.ndim - 2))

        factors = [Fraction(1)] if record.selector is None else record.selector.factors
        scale = rows([[float(factor * a.scale) for a in record.affines] for factor in factors])
        offset = rows([[float(a.offset) for a in record.affines]] * len(factors))
        integer = torch.round((x - offset) / torch.where(scale == 0, 1.0, scale))
        shift = rows(op.shift)
        ratio, bias = torch.ldexp(rows(op.multiplier), -shift), torch.ldexp(rows(op.bias), -shift)
        rounded = torch.floor(integer * ratio + bias + torch.where(shift > 0, 0.5, 0.0))
        return torch.clamp(rounded, op.type.min, op.type.max)


def _dense(x: torch.Tensor, layer: DenseLayer) -> torch.Tensor:
    weight = torch.from_numpy(layer.weight.astype(np.float64) * np.asarray(layer.scale, dtype=np.float64))
    bias = None if layer.bias is None else torch.from_numpy(np.asarray(layer.bias, dtype=np.float64))
    return nn.functional.linear(x, weight.T, bias)


def _on_grid(x: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Quantise real values by the quantiser's own formula, in float64."""
    v = x / float(grid.scale)
    # Half steps and levels that float64 misses by its last bits are meant: the tie rule decides there.
    nearest = torch.round(2 * v) / 2
    v = torch.where((v - nearest).abs() < 1e-9, nearest, v)
    match grid.rounding:
        case "half_even":
            v = torch.round(v)
        case "floor":
            v = torch.floor(v)
        case "ceil":
            v = torch.ceil(v)
        case "sign":
            return torch.where(v >= 0, float(grid.high), float(grid.low)).double()
        case _:
            raise ValueError(f"Brevitas has no rounding {grid.rounding}")
    return torch.clamp(v, grid.low, grid.high)


def compared(imported: Imported, x: np.ndarray, batch: int = 100) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Evaluate frames by the witness and by the golden executor.

    Yields
    ------
    tuple
        Name, the witness's integers and golden's (int64, channels last), once per batch for every quantiser's edge
        of the unsimplified graph, and under `witness.OUTPUT` for the output of the simplified one.
    """
    unsimplified = imported.lowering.unsimplified()
    model = FrozenModel(imported)
    for start in range(0, len(x), batch):
        piece = x[start : start + batch]
        real, frozen = model.run_integers(piece)
        traced = golden.run(unsimplified, piece, trace=True)
        for edge, integers in frozen.items():
            yield edge, integers, traced[edge]
        found = golden.run(imported.graph, piece)
        yield witness.OUTPUT, witness.output_integers(imported.graph, found, np.moveaxis(real, 1, -1)), found


def differences(imported: Imported, x: np.ndarray, batch: int = 100) -> Iterator[tuple[str, int, int]]:
    """Compare every quantiser's integers with the golden executor on the unsimplified graph.

    Yields
    ------
    tuple
        Edge, number of differing integers, number of integers compared, once per edge and batch.
    """
    for edge, expected, found in compared(imported, x, batch):
        if edge != witness.OUTPUT:
            yield edge, int((found != expected).sum()), expected.size
