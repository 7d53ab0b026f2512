"""What `codesign search` says of its candidates and of what it trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign.cli.console import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from codesign.cli.work import Work
    from codesign.search.finish import Trained
    from codesign.search.problem import Evaluation
    from codesign.search.run import Result
    from codesign.verify.compare import VerifyResult
    from codesign.zoo import Model

_UNITS = {"lut": "LUT", "dsp": "DSP", "bram36": "BRAM36", "cycles_per_frame": "cycles"}


def candidate(one: Evaluation) -> str:
    """Return in words what a candidate is worth and what it takes."""
    taken = [f"{_number(one.cost[name])} {unit}" for name, unit in _UNITS.items() if name in one.cost]
    loss = "" if one.loss is None else f" (loss {one.loss:.4f})"
    return ", ".join([f"{one.accuracy:.2f} %{loss}", f"{one.bit_operations:,} bit operations", *taken])


def strategies(results: Sequence[Result], best: Evaluation, reserve: float) -> list[RenderableType]:
    """Return a table of what each strategy found, and sentences on the best of all.

    Parameters
    ----------
    results : sequence of Result
        One for each strategy.
    best : Evaluation
        The best candidate of all.
    reserve : float
        LUTs that the search left free.
    """
    columns = ("strategy", "candidates", "accuracy, %", "loss", "bit operations", "LUT", "cycles", "seconds")
    rows = [
        (
            one.header.strategy,
            len(one.evaluations),
            one.best.accuracy if one.best else None,
            None if one.best is None or one.best.loss is None else f"{one.best.loss:.4f}",
            one.best.bit_operations if one.best else None,
            *(_count(one.best.cost.get(name) if one.best else None) for name in ("lut", "cycles_per_frame")),
            round(one.seconds, 1),
        )
        for one in results
    ]
    free = [f"{reserve:,.0f} of the LUTs stayed free for what training changes."] if reserve else []
    return [table(columns, rows), f"Best by the supernet: {candidate(best)}.", *free]


def finalists(best: Trained, trained: Sequence[Trained]) -> list[RenderableType]:
    """Return a table of what was trained, where that is more than one.

    Parameters
    ----------
    best : Trained
        One of them, the same object.
    trained : sequence of Trained
        In the order in which they were trained.
    """
    if len(trained) < 2:
        return []
    columns = (
        "finalist", "by the supernet, %", "its loss", "held out, %", "bit operations", "LUT", "channels, mean bits",
        "activations, mean bits", "POST layers", "",
    )  # fmt: skip
    rows = []
    for number, one in enumerate(trained, 1):
        widths = one.proposed.assignment
        bits = [each for own in widths.weights.values() for each in own]
        reads = widths.activations.values()
        rows.append(
            (
                number,
                f"{one.proposed.accuracy:.2f}",
                None if one.proposed.loss is None else f"{one.proposed.loss:.4f}",
                f"{one.evaluation.accuracy:.2f}",
                one.evaluation.bit_operations,
                _count(one.evaluation.cost.get("lut")),
                f"{sum(bits) / len(bits):.2f}",
                f"{sum(reads) / len(reads):.2f}" if reads else None,
                sum(scheme == "post" for scheme in widths.schemes.values()),
                "too large" if one.exceeded else "the best" if one is best else "",
            )
        )
    return [table(columns, rows)]


def what_exceeds(best: Trained) -> str:
    """Say by how much the best of the trained networks exceeds what it was held to."""
    taken = ", ".join(
        f"{_number(found)} {_UNITS.get(name, name.replace('_', ' '))} where {_number(limit)} are allowed"
        for name, (found, limit) in best.exceeded.items()
    )
    return (
        f"Once trained, no candidate keeps to the constraint: the best one takes {taken}. Nothing was written; leave "
        "more room, by a smaller --budget, or by more clocks for a frame: more --cycles or less --fps."
    )


def what_differs(best: Trained, found: VerifyResult) -> str:
    """Say where the hardware of a trained network differs from the golden executor.

    Parameters
    ----------
    best : Trained
    found : VerifyResult
        With differences.
    """
    return (
        f"{best.model.name}: the hardware differs from the golden executor in {found.differences:,} integers, first "
        f"{found.first_difference}; nothing was written."
    )


def published(
    best: Trained, found: VerifyResult, work: Work, path: Path, given: dict[str, Any], earlier: Model | None = None
) -> list[str]:
    """Say what was trained, that its hardware is the same, and what comes next.

    Parameters
    ----------
    best : Trained
    found : VerifyResult
        Without differences.
    work : Work
    path : Path
        Where the model was written.
    given : dict
        Options of the command: `cycles`, `frames_per_second`, `dsp` and `lut` are those of the next one, too.
    earlier : codesign.zoo.Model, optional
        What was there by that name.
    """
    measured = best.model.result
    speed = f" --cycles {given['cycles']}" if given["cycles"] else ""
    speed = f" --fps {given['frames_per_second']:g}" if given["frames_per_second"] else speed or " --fastest"
    parts = "".join(f" --{key} {given[key]}" for key in ("dsp", "lut") if given[key] is not None)
    if best.estimate is None:
        speed, sizes = "", ""
    else:
        low, high = (round(end) for end in best.estimate.lut)
        sizes = f" by estimate ({low:,} to {high:,} LUT)"
    replaced = []
    if earlier is not None and earlier.measured.checkpoint_sha256 != best.model.measured.checkpoint_sha256:
        replaced.append(
            f"It replaces what an earlier search had found, which has {earlier.result.validation_accuracy:.2f} % on "
            f"held-out examples and is still in {Path(best.model.path).parents[1]}."
        )
    return [
        f"Trained: {measured.validation_accuracy:.2f} % on held-out examples, {measured.accuracy:.2f} % in integers on "
        f"the test set; {candidate(best.evaluation)}{sizes}.",
        *replaced,
        f"{found.integers:,} integers on {found.tensors} edges equal the golden executor ({found.vectors} vectors).",
        f"The model is {path}. Next: codesign synth {best.model.name} --backend rtl --board {work.board.name}{speed}"
        f"{parts}",
    ]


def figures(one: Trained) -> dict[str, Any]:
    """Return what the report, `search.json` and `--json` have of a network that was trained."""
    measured, estimate = one.model.result, one.estimate
    interval = None if estimate is None else {
        "coverage": estimate.coverage,
        **{key: [round(end) for end in getattr(estimate, key)] for key in ("lut", "ff")},
    }  # fmt: skip
    return {
        "proxy_accuracy": one.proposed.accuracy,
        "proxy_loss": one.proposed.loss,
        "validation_accuracy": measured.validation_accuracy,
        "float_accuracy": measured.float_accuracy,
        "accuracy": measured.accuracy,
        "bit_operations": one.evaluation.bit_operations,
        **one.evaluation.cost,
        "interval": interval,
        "exceeds": sorted(one.exceeded),
        "path": one.model.path,
    }


def _count(cost: float | None) -> int | None:
    return None if cost is None else int(cost)


def _number(value: float) -> str:
    from codesign.report.numbers import count  # reports load more than a command needs that ends early

    return count(value)
