"""What is trained: the rows of the table, and the model file of each run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FLOAT_START = "resnet8_fp"
TEACHER = "resnet9_teacher_fp"
EPOCHS = 10

# Weight decay as in LSQ: halved at 3 bits, a quarter at 2. Binary weights have none: batch norm takes their
# magnitude out of the function.
WEIGHT_DECAY = {4: 1e-4, 3: 5e-5, 2: 2.5e-5, 1: 0.0}
LEARNING_RATE = {4: 0.05, 3: 0.05, 2: 0.05, 1: 0.1}

# Of learned steps, relative to the learning rate. The fast one is about as fast as what ASQ has beside its step: the
# bias of the adapter multiplies the step too, but learns at the full rate and without the gradient scale of LSQ.
STEP_RATE = 0.2
FAST_STEP_RATE = 10.0


@dataclass(frozen=True, eq=False)
class Row:
    """A method at a width; each is one object of `ROWS`.

    Attributes
    ----------
    name : str
        Of the method, the same at every width.
    bits : int
        Of the hidden weights and activations.
    title : str
        For people; a part of the model file.
    weights, activations : str
        Files in `codesign/quant`, or quantizers of QKeras.
    lane : str
        Kind of multiply-accumulate lane that takes its integer weights: "uniform" (-n to n), "odd"
        (odd integers, none of them 0), "pot", "post", "apot" or "binary".
    weight_options, activation_options : mapping
        As in a model file.
    distilled : bool
        Learn from the teacher too.
    framework : str
        "brevitas" or "qkeras".
    scaled : bool
        Evaluate under scaled inputs too.
    step_rate : float
        Learning rate of quantisation steps, relative to that of the weights.
    also : str
        Title of a method that is the very same training at this width.
    """

    name: str
    bits: int
    title: str
    weights: str
    activations: str
    lane: str = "uniform"
    weight_options: Mapping[str, Any] = field(default_factory=dict)
    activation_options: Mapping[str, Any] = field(default_factory=dict)
    distilled: bool = False
    framework: str = "brevitas"
    scaled: bool = False
    step_rate: float = STEP_RATE
    also: str = ""

    @property
    def label(self) -> str:
        """Title as the table has it."""
        return f"{self.title} = {self.also}" if self.also else self.title

    @property
    def key(self) -> str:
        """Name with the width."""
        return f"{self.name}_w{self.bits}"


def _low_bit(bits: int) -> dict[str, Row]:
    rows = (
        Row("lsq", bits, "LSQ", "lsq", "lsq", scaled=True),
        Row("asq", bits, "ASQ, 16 steps", "lsq", "asq", activation_options={"entries": 16}, scaled=True),
        # At 2 bits both have the levels -1, 0 and 1 and the same start.
        Row("post", bits, "POST", "post", "lsq", "post", also="POT" if bits == 2 else ""),
        Row("pot", bits, "POT", "pot", "lsq", "pot"),
        Row("asqpost", bits, "ASQ + POST", "post", "asq", "post", activation_options={"entries": 16}, scaled=True),
        Row("lsq_distilled", bits, "LSQ + distillation", "lsq", "lsq", distilled=True),
        Row("apot", bits, "APoT", "apot", "lsq", "apot"),
        Row("pact", bits, "PACT", "dorefa", "pact", "odd"),
        Row("dorefa", bits, "DoReFa", "dorefa", "dorefa", "odd"),
        Row("brevitas_default", bits, "Brevitas' default", "brevitas_default", "brevitas_default"),
        Row("asq_continuous", bits, "ASQ, continuous", "lsq", "asq", activation_options={"entries": 0}, scaled=True),
        Row("qkeras", bits, "QKeras' own", "quantized_bits", "quantized_relu", framework="qkeras"),
        Row("lsq_fast", bits, "LSQ, fast steps", "lsq", "lsq", scaled=True, step_rate=FAST_STEP_RATE),
    )
    return {row.name: row for row in rows}


def _rows() -> tuple[Row, ...]:
    by_bits = {bits: _low_bit(bits) for bits in (4, 3, 2)}
    first = ("lsq", "asq", "post", "pot", "asqpost")
    baselines = ("lsq_distilled", "apot", "pact", "dorefa", "brevitas_default")
    binary = (
        Row("sign", 1, "sign", "sign", "sign", "binary"),
        Row("react", 1, "ReAct", "sign", "react", "binary"),
        Row("bitat", 1, "BiTAT", "bitat", "sign", "binary"),
        Row(
            "bitat_identity",
            1,
            "BiTAT with C = I",
            "bitat",
            "sign",
            "binary",
            weight_options={"correlation": "identity"},
        ),
        Row("bitat_react", 1, "BiTAT + ReAct", "bitat", "react", "binary"),
    )
    rows = [by_bits[4][name] for name in first] + list(binary)
    rows += [by_bits[3][name] for name in first]
    rows += [by_bits[2][name] for name in first if name != "pot"]
    rows += [by_bits[bits][name] for bits in (4, 3, 2) for name in baselines]
    rows += [by_bits[4]["asq_continuous"], by_bits[4]["qkeras"], by_bits[2]["qkeras"]]
    rows += [by_bits[4]["lsq_fast"], by_bits[2]["lsq_fast"]]
    return tuple(rows)


ROWS = _rows()
"""All rows, the most telling first: the order in which they are trained."""

SEEDS = (1, 2, 3)
MORE_SEEDS = (4, 5)
"""Of the rows that README.md names under "Seeds"."""
_MORE = ("lsq_w4", "pot_w4", "asqpost_w4", "bitat_w1", "bitat_identity_w1")


def seeds_of(row: Row) -> tuple[int, ...]:
    """Return the seeds that a row of the table has."""
    return SEEDS + MORE_SEEDS * (row.key in _MORE)


def recipe(row: Row, seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Return the recipe of a run, the same for all methods of a width but for the rate of steps of `lsq_fast`.

    No example is held out: nothing is chosen in these runs. QKeras trains in float32, and has no steps
    that learn.
    """
    values: dict[str, Any] = {
        "init_from": FLOAT_START,
        "epochs": epochs,
        "batch": 128,
        "learning_rate": LEARNING_RATE[row.bits],
        "schedule": "cosine",
        "warmup_epochs": 1,
        "weight_decay": WEIGHT_DECAY[row.bits],
        "crop_padding": 3,
        "flip": True,
        "validation": 0,
        "seed": seed,
    }
    if row.framework == "brevitas":
        values |= {"precision": "bfloat16", "step_rate": row.step_rate}
    return values


def model_file(row: Row, seed: int, epochs: int = EPOCHS) -> str:
    """Return the model file of a run, as `codesign train` reads it."""
    top = {
        "title": f"{row.title} at {row.bits} bits, seed {seed}",
        "framework": row.framework,
        "dataset": "cifar10",
        "topology": "resnet8",
        "input_scale": 0.015625,
    }
    sections: dict[str, Mapping[str, Any]] = {
        "widths": {
            "weight_bits": row.bits,
            "activation_bits": row.bits,
            "first_weight_bits": 8,
            "last_weight_bits": 8,
            "last_activation_bits": 8,
            "residual_bits": 8,
        },
        "method": {"weights": row.weights, "activations": row.activations},
        "method.weight_options": row.weight_options,
        "method.activation_options": row.activation_options,
        "recipe": recipe(row, seed, epochs),
    }
    if row.distilled:
        # As many augmentations as epochs, so that no image comes twice, as without a teacher.
        sections["recipe.distillation"] = {"teacher": TEACHER, "weight": 0.9, "temperature": 4.0, "pool": epochs}
    lines = _assignments(top)
    for name, values in sections.items():
        if values:
            lines += ["", f"[{name}]", *_assignments(values)]
    return "\n".join(lines) + "\n"


def _assignments(values: Mapping[str, Any]) -> list[str]:
    # JSON and TOML write strings, numbers and truth values alike.
    return [f"{key} = {json.dumps(value)}" for key, value in values.items()]
