"""Options of `codesign search`, and what their texts mean."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import rich_click as click

from codesign.errors import UserError

if TYPE_CHECKING:
    from codesign.train.supernet import SupernetRecipe

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}

DEFAULT_STRATEGIES = "profiled,uniform"
"""Where accuracy alone is wanted: what `benchmarks/search` came to."""
WITH_COSTS = "autoqb,profiled,uniform"
"""Where costs are part of the objective, by which the others do not go."""

model = click.argument("model", metavar="MODEL", required=False)
strategies = click.option(
    "--strategy",
    help="How widths are searched; several, joined by commas, or 'all' share one report. 'list' tells all of them. "
    f"[default: {DEFAULT_STRATEGIES}, and autoqb where --objective names costs]",
)
objective = click.option(
    "--objective",
    default="accuracy",
    show_default=True,
    help="What is wanted, such as accuracy,lut=0.1: accuracy counts by its logarithm, costs that are named against it; "
    "accuracy alone counts by the loss.",
)
budget = click.option(
    "--budget", metavar="N", help="Bit operations that a frame may take, such as 50M. [default: unlimited]"
)
cycles = click.option(
    "--cycles",
    type=click.IntRange(1),
    help="Clock cycles that a frame may take. [default: as few as fit the board, whatever the widths]",
)
frames_per_second = click.option(
    "--fps",
    "frames_per_second",
    type=click.FloatRange(min=0, min_open=True),
    help="Frames per second at the clock of the board, instead of --cycles.",
)
dsp = click.option(
    "--dsp",
    type=click.IntRange(0),
    help="Multiplier blocks to use, at most those of the board, as if they were free. "
    "[default: those of the board, where they save most]",
)
lut = click.option(
    "--lut",
    type=click.IntRange(1),
    help="Lookup tables that the network may take, where they are fewer than those of the board; multiplier blocks "
    "take the place of others as far as they must.",
)
evaluations = click.option(
    "--evaluations", type=click.IntRange(1), default=200, show_default=True, help="Candidates of each strategy at most."
)
workers = click.option(
    "--workers",
    default="1",
    show_default=True,
    help="Processes on this machine, or ray://HOST:PORT; the result is the same. Strategies ask "
    "for some candidates at a time, most for 4 or 8, which is what workers share.",
)
setting = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Option of the strategy; several may be given."
)
weight_bits = click.option(
    "--weight-bits",
    default="0-8",
    show_default=True,
    help="Widths that weights may have, such as 1-4 or 0,2,4; 0 is a pruned channel, 1 a binary one.",
)
activation_bits = click.option(
    "--activation-bits", default="1-8", show_default=True, help="Widths that activations may have."
)
post = click.option("--post", is_flag=True, help="Layers may have POST weights (powers of √2) of up to 5 bits, too.")
supernet_epochs = click.option(
    "--supernet-epochs",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Epochs of the supernet that sensitivities and the like are measured with; it is trained once for a model.",
)
focus_epochs = click.option(
    "--focus-epochs",
    type=click.IntRange(0),
    default=6,
    show_default=True,
    help="Epochs of a second one, which is trained with networks alone that take about what the limits allow and tells "
    "the accuracy of candidates; 0 leaves that to the first. So it is too where costs are part of the objective or "
    "nothing is limited.",
)
images = click.option(
    "--images", type=click.IntRange(1), help="Held-out examples that a candidate is evaluated on. [default: all]"
)
fine_tuning = click.option(
    "--fine-tuning",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Batches that a copy of the supernet is trained on with the widths of a candidate before that is evaluated.",
)
name = click.option("--name", help="Name of the model that is found. [default: MODEL_searched]")
epochs = click.option(
    "--epochs", type=click.IntRange(1), help="Epochs of its training. [default: as the recipe of MODEL]"
)
learning_rate = click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Greatest rate of its training. [default: as the recipe of MODEL]",
)
finalists = click.option(
    "--finalists",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Candidates that are trained: the best by the search, then the best of other kinds, since the search may "
    "misjudge a kind. The best of them by held-out examples is the result.",
)
no_training = click.option(
    "--no-training", is_flag=True, help="End with the report of the search; the same command without it goes on."
)
threads = click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Threads of each training, that of the supernet too.",
)

_ALL = (
    strategies, objective, budget, frames_per_second, cycles, dsp, lut, evaluations, workers, setting, weight_bits,
    activation_bits, post, supernet_epochs, focus_epochs, images, fine_tuning, name, epochs, learning_rate, finalists,
    no_training, threads,
)  # fmt: skip


def every(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add all of them."""
    for option in reversed(_ALL):
        function = option(function)
    return function


def operations(text: str | None) -> int | None:
    """Return a number such as 50M as an integer.

    Raises
    ------
    UserError
        When it is none.
    """
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([kMG]?)", text.strip())
    number = round(float(found[1]) * _UNITS[found[2]]) if found else 0
    if number < 1:
        raise UserError(f"--budget is a number of bit operations such as 50M, found '{text}'.")
    return number


def require_budget_alone(family: str, given: dict[str, Any], costs: Iterable[str]) -> None:
    """Refuse what needs sizes of candidates, for a family of boards that no synthesis was measured for.

    Parameters
    ----------
    family : str
    given : dict
        Values of options.
    costs : iterable of str
        What the objective names.

    Raises
    ------
    UserError
        When there is no budget of bit operations, or sizes or clocks are limited or part of the objective.
    """
    from codesign.search.problem import BIT_OPERATIONS

    flags = {"cycles": "--cycles", "frames_per_second": "--fps", "dsp": "--dsp", "lut": "--lut"}
    found = [flag for name, flag in flags.items() if given[name] is not None]
    found += [f"--objective {name}" for name in costs if name != BIT_OPERATIONS]
    if given["budget"] is None or found:
        other = f", without {found[0]}" if found else ""
        raise UserError(
            f"no synthesis was measured for {family} yet, so that sizes of candidates are not known; give --budget in "
            f"bit operations{other}, or choose a board of another family."
        )


def require_rate(value: float | None) -> None:
    """Raise `UserError` for a learning rate that is no number."""
    if value is not None and not math.isfinite(value):
        raise UserError(f"--learning-rate is a number such as 0.02, found {value:g}.")


def widths(text: str, flag: str, least: int) -> tuple[int, ...]:
    """Return widths such as "1-4" or "0,2,4", ascending.

    Raises
    ------
    UserError
        When they are none, out of range, or fewer than two.
    """
    found: set[int] = set()
    for part in text.split(","):
        ends = re.fullmatch(r"\s*([0-9])(?:-([0-9]))?\s*", part)
        if not ends or not least <= int(ends[1]) <= int(ends[2] or ends[1]) <= 8:
            raise UserError(f"{flag} are widths from {least} to 8 such as {least}-4 or 2,4,8, found '{text}'.")
        found |= set(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    if len(found - {0}) < 2:
        raise UserError(f"{flag} {text} leaves nothing to choose; give two widths or more above 0.")
    return tuple(sorted(found))


def require_post(recipe: SupernetRecipe) -> None:
    """Raise `UserError` where POST weights may be chosen, and have none of the widths."""
    from codesign.quant.mixed import POST_BITS

    if recipe.post and not any(0 < bits <= POST_BITS for bits in recipe.weight_bits):
        raise UserError(f"--post needs a width of 1 to {POST_BITS} bits among --weight-bits.")


def settings(texts: tuple[str, ...]) -> dict[str, str]:
    """Return options of a strategy such as "granularity=layer".

    Raises
    ------
    UserError
        When one has no value, or is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key or key in found:
            raise UserError(f"--set takes KEY=VALUE, each key once, found '{text}'.")
        found[key] = value
    return found
