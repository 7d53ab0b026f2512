"""Choices of widths as model files, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from codesign import quant, zoo
from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.quant.choice import Method
from codesign.quant.mixed import SCHEME_OF, Mixed
from codesign.search.space import Assignment, Space

if TYPE_CHECKING:
    from codesign.train.recipe import Recipe
    from codesign.zoo import Model


def mixed_of(chosen: Assignment) -> Mixed:
    """Return a choice of widths as the `[mixed]` sections of a model file.

    Raises
    ------
    ValueError
        When there is no such quantizer: POST weights of more than 5 bits.
    """
    return Mixed(
        {name: bits[0] if len(set(bits)) == 1 else tuple(bits) for name, bits in chosen.weights.items()},
        dict(chosen.activations),
        {name: scheme for name, scheme in chosen.schemes.items() if scheme != "uniform"},
    )


def assignment_of(model: Model, space: Space) -> Assignment:
    """Return the widths of a quantised model as a point of its space.

    Raises
    ------
    UserError
        When it is float, or hidden layers without a width of their own have weights of another method than lsq and
        post.
    """
    model.require_integers()
    mixed = model.mixed or Mixed()
    weights, schemes = {}, {}
    for layer in space.layers:
        if layer.name in mixed.weights:
            weights[layer.name] = mixed.widths_of(layer.name, layer.channels)
            try:
                scheme = mixed.scheme_of(layer.name, model.method.weights)
            except ValueError as error:
                raise UserError(f"{model.path}: {error}.") from error
        else:
            weights[layer.name] = (model.widths.weight_bits,) * layer.channels
            if model.method.weights not in SCHEME_OF:
                raise UserError(f"{model.name} has {model.method.weights} weights, which are no kind of a search.")
            scheme = SCHEME_OF[model.method.weights]
        if scheme != "uniform":
            schemes[layer.name] = scheme
    activations = {
        layer.name: mixed.activations.get(layer.name, model.widths.activation_bits) for layer in space.activations
    }
    return Assignment(weights, activations, schemes)


def given_widths(source: Model, chosen: Assignment) -> Model:
    """Return the model that has these widths, with the recipe, the result and the path of its source.

    Weights are trained as LSQ does, or as POST where the choice says so, whatever method the source has. An activation
    method with a companion becomes LSQ; another one is kept.

    Parameters
    ----------
    source : codesign.zoo.Model
        Of the framework brevitas; may be float.
    chosen : Assignment
        A point of the space of `source`.
    """
    mixed = mixed_of(chosen)
    widest = max(max(bits) for bits in chosen.weights.values()) if chosen.weights else 0
    widths = msgspec.structs.replace(
        source.widths,
        # Every hidden layer has its own; these are for the list of models.
        weight_bits=max(2, widest),
        activation_bits=max(chosen.activations.values(), default=8),
    )
    method = source.method
    if getattr(quant.method(method.activations), "companion", None) is not None:
        method = msgspec.structs.replace(method, activations="lsq", activation_options={})
    method = msgspec.structs.replace(method, weights="lsq", weight_options={})
    return msgspec.structs.replace(source, widths=widths, method=method, mixed=mixed)


def write_model(
    source: Model, chosen: Assignment, path: Path, *, title: str | None = None, recipe: Recipe | None = None
) -> Model:
    """Write a choice of widths as a new model, ready for `codesign train`.

    Its training starts from the weights of `source`, by the same recipe unless another is given. Methods are those of
    `given_widths`.

    Parameters
    ----------
    source : codesign.zoo.Model
        Of the framework brevitas; may be float.
    chosen : Assignment
        A point of the space of `source`.
    path : Path
        The new TOML file; one that is there is replaced.
    title : str, optional
        One line for people.
    recipe : Recipe, optional
        Its `validation` and `seed` must be those of the source, so that held-out examples stay held out.

    Returns
    -------
    Model
        Read again from the file.

    Raises
    ------
    UserError
        When the source has no recipe or the file cannot be written.
    """
    recipe = recipe or source.recipe
    if recipe is None:
        raise UserError(f"{source.name} has no [recipe] that a model of mixed widths could be trained by.")
    given = given_widths(source, chosen)
    mixed, widths, method = mixed_of(chosen), given.widths, given.method
    recipe = msgspec.structs.replace(recipe, init_from=source.name)
    head = {
        "title": title or f"{source.name} with a width for each channel and activation",
        "framework": source.framework,
        "dataset": source.dataset,
        "topology": source.topology,
        "input_scale": source.input_scale,
    }
    text = _lines(head) + _section("topology_options", source.topology_options)
    text += _section("widths", msgspec.structs.asdict(widths))
    text += _section("method", msgspec.to_builtins(method) if method != Method() else {})
    text += "\n" + mixed.toml() if mixed.toml() else ""
    text += _section("recipe", msgspec.to_builtins(recipe))
    atomic_write(path, text)
    return zoo.read(path)


def _section(name: str, values: dict[str, Any]) -> str:
    """Return a section of a TOML file and those within it; "" for an empty one."""
    plain = {key: value for key, value in values.items() if not isinstance(value, dict) and value is not None}
    text = f"\n[{name}]\n{_lines(plain)}" if plain else ""
    for key, value in values.items():
        if isinstance(value, dict):
            text += _section(f"{name}.{key}", value)
    return text


def _lines(values: dict[str, Any]) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in values.items())


def _value(value: Any) -> str:
    """Return a value as TOML has it; JSON's strings, lists and booleans are TOML's too."""
    if isinstance(value, str):
        return json.dumps("".join(c if c.isprintable() else " " for c in value), ensure_ascii=False)
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)
