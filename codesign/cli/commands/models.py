"""`codesign models`."""

from __future__ import annotations

from typing import Any

from codesign.cli.console import Console, table
from codesign.cli.console import command as make
from codesign.errors import UserError
from codesign.quant.widths import FLOAT_BITS


@make(name="models", short_help="List the models with their widths and measured accuracy.")
def command(console: Console) -> None:
    """List the models with their widths and measured accuracy.

    Accuracy is top-1 on the whole test set: of the integers that the hardware computes, and of the same
    network in float32. It is left out when it was measured on another checkpoint. Bits are those of hidden
    weights and activations. Models are searched in $CODESIGN_MODELS, ./models and the package.
    """
    from codesign import zoo

    listed: list[dict[str, Any]] = []
    for name in zoo.names():
        try:
            model = zoo.load(name)
        except UserError as error:
            # One bad file must not hide the others.
            console.say(str(error))
            continue
        measured = model.measured
        if model.is_outdated:
            console.say(
                f"{name}: the accuracy in {model.path} is not that of its checkpoint and is left out; "
                f"codesign train {name} --record measures it."
            )
        listed.append(
            {
                "name": name,
                "title": model.title,
                "framework": model.framework,
                "dataset": model.dataset,
                "weight_bits": model.widths.weight_bits,
                "activation_bits": model.widths.activation_bits,
                "mixed": model.mixed is not None,
                "accuracy": measured.accuracy,
                "float_accuracy": measured.float_accuracy,
                "parameters": measured.parameters,
                "macs": measured.macs,
                "trained": model.checkpoint_path.is_file(),
            }
        )
    columns = ("model", "data set", "bits", "integers %", "float %", "parameters", "MACs")
    rows = [
        (
            entry["name"],
            entry["dataset"],
            _bits(entry["weight_bits"], entry["activation_bits"], entry["mixed"]),
            entry["accuracy"],
            entry["float_accuracy"],
            entry["parameters"],
            None if entry["macs"] is None else f"{entry['macs'] / 1e6:.2f} M",
        )
        for entry in listed
    ]
    console.result({"models": listed}, table(columns, rows))


def _bits(weights: int, activations: int, mixed: bool) -> str:
    if mixed:
        return "mixed"
    return "float" if weights == activations == FLOAT_BITS else f"{weights}/{activations}"
