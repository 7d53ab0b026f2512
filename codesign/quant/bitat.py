"""BiTAT: binary weights, binarised bottom-up and direction by direction, in the order of importance.

The paper's text was not at hand: this is a reconstruction from its abstract, and no number of the paper
is claimed. Activations are those of `react`; trained weights are those of `sign`, alpha_o * sign(w). What
is different is the way there.

Let X hold the inputs of a layer as its kernel sees them, one column each (im2col), produced by the layers
below, which are binary already. The batch norm or bias behind the layer takes up any constant, so X is
taken without its mean. With C = X X^T / N = V^T diag(s^2) V, V orthonormal, the error that binary weights
B make in the outputs is

    tr((W - B) C (W - B)^T) = sum_j s_j^2 * |w~_j - b~_j|^2,   w~ = W V^T, b~ = B V^T,

so s_j^2 is the importance of direction j, and the input correlations enter. C is kept in blocks along its
diagonal (`block` input dimensions each), V likewise.

Layer by layer from the bottom, in equal turns that together fill the share `progressive` of the schedule:
when the turn of a layer begins, C is measured on the current batch; then a growing part S of the
directions, the least important first, becomes binary, W - ((W - B) V_S^T) V_S, while the others stay real
and make up for the error. At the end of its turn the layer is binary, and the next one begins. After the
last turn everything is binary and the rest of the schedule fine-tunes. The loss has in addition

    penalty * sum_l tr((W_l - B_l) C_l (W_l - B_l)^T) / tr(W_l C_l W_l^T)

over the layers whose turn has begun; being relative, a term lies between 0 and about 1 whatever the size of
a layer. B and the denominator are constants for the gradient.

In hardware nothing of this is left: V and C exist during the training only.

The package's training loop does all this by itself. A loop of one's own makes `acting = companion(network)`,
calls `acting.before_step(progress, x)` before each step with the share of the schedule that is done, and adds
`acting.penalty()` to the loss unless it is None.

References
----------
Park, Yoon, Yang and Hwang, BiTAT: neural network binarization with task-dependent aggregated
transformation, arXiv 2207.01394.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from brevitas.inject import ExtendedInjector
from torch import Tensor, nn

from codesign.errors import UserError
from codesign.quant import react
from codesign.quant.bitat_companion import Bitat, Layer
from codesign.quant.bitat_transform import PartlyBinaryFunction
from codesign.quant.sign import BinaryWeightQuant, SignWeightPerChannel, binarize, require_one_bit

Correlation = Literal["inputs", "identity"]
Share = Annotated[float, msgspec.Meta(gt=0, le=0.9)]


class BitatWeightQuant(BinaryWeightQuant):
    """Binary weights that a companion may hold real, or real in some directions, during a training.

    What the companion sets is no state: in a network that is loaded or not trained, the weights are binary.

    Parameters
    ----------
    per_channel : bool
        One scale for each output channel, else one in all.
    correlation, block, penalty, progressive
        What the companion is to do; see `weight`.
    """

    def __init__(
        self, per_channel: bool, correlation: Correlation, block: int, penalty: float, progressive: float
    ) -> None:
        super().__init__(per_channel)
        self.correlation, self.block = correlation, block
        self.penalty, self.progressive = penalty, progressive
        self.real = False
        self.projection: Tensor | None = None

    def release(self) -> None:
        """Make the weights binary."""
        self.real, self.projection = False, None

    def binary(self, w: Tensor, scale: Tensor) -> Tensor:
        """Return the weights that the layer uses at this point of a training."""
        if self.real:
            return w
        if self.projection is None:
            return binarize(w, scale)
        return PartlyBinaryFunction.apply(w, scale, self.projection)


class BitatWeightPerChannel(SignWeightPerChannel):
    """Binary weights, one scale per output channel, for a training with `companion`; defaults as in `weight`.

    A `weight_bit_width` given to the layer is ignored: they are binary.
    """

    tensor_quant = BitatWeightQuant  # type: ignore[assignment]
    correlation = "inputs"
    block = 64
    penalty = 0.03
    progressive = 0.4


class BitatWeightPerTensor(BitatWeightPerChannel):
    """Binary weights with one scale, for a training with `companion`; a `weight_bit_width` is ignored."""

    per_channel = False


def weight(
    bits: int,
    per_channel: bool,
    *,
    correlation: Correlation = "inputs",
    block: Annotated[int, msgspec.Meta(ge=1, le=256)] = 64,
    penalty: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.03,
    progressive: Share = 0.4,
) -> type[ExtendedInjector]:
    """Return the Brevitas weight quantizer of this method.

    Give all layers of a network the same options: `companion` goes by those of the first.

    Parameters
    ----------
    bits : int
        1.
    per_channel : bool
        One scale for each output channel, else one in all.
    correlation : {"inputs", "identity"}
        Measure C, or take C = I for comparison.
    block : int
        Input dimensions of a block of C; 16 to 64 are sensible.
    penalty : float
        Weight of the error term of the loss.
    progressive : float
        Share of the schedule in which the layers become binary; the rest fine-tunes.

    Raises
    ------
    ValueError
        When `bits` is not 1.
    """
    require_one_bit(bits, "bitat")
    chosen = BitatWeightPerChannel if per_channel else BitatWeightPerTensor
    return chosen.let(correlation=correlation, block=block, penalty=penalty, progressive=progressive)


def relu(channels: int, bits: int) -> nn.Module:
    """Return the binary activation, that of `react`.

    Raises
    ------
    ValueError
        When `bits` is not 1.
    """
    require_one_bit(bits, "bitat")
    return react.relu(channels, bits)


def companion(module: nn.Module) -> Bitat | None:
    """Return the companion of a network, None when it has no weights of this method.

    Parameters
    ----------
    module : nn.Module
        Its layers are taken from the bottom to the top in the order in which they were registered.

    Raises
    ------
    UserError
        When such weights are those of a layer whose inputs cannot be cut into columns.
    """
    layers = []
    for name, part in module.named_modules():
        proxy = getattr(part, "weight_quant", None)
        quantizer = getattr(proxy, "tensor_quant", None)
        if isinstance(quantizer, BitatWeightQuant):
            _require_columns(part, name)
            layers.append(Layer(name, part, quantizer))
    return Bitat(module, layers) if layers else None


def _require_columns(layer: Any, name: str) -> None:
    """Raise `UserError` for a layer whose inputs `torch.nn.functional.unfold` does not give."""
    if isinstance(layer, nn.Linear):
        return
    if not isinstance(layer, nn.Conv2d):
        raise UserError(
            f"layer '{name}' is a {type(layer).__name__}; BiTAT has weights for QuantConv2d and QuantLinear."
        )
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
        raise UserError(f"layer '{name}' needs padding in numbers and of zeros for BiTAT weights, such as padding=1.")
