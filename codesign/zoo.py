"""The models that come with the package or lie in the user's folder: one TOML file each.

A model file says what the network is, on which data and how it is trained, and what the trained
checkpoint beside it was measured to do.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from codesign import names as _names
from codesign import resources, tomlfile
from codesign.errors import UserError
from codesign.quant.choice import Method
from codesign.quant.mixed import Mixed
from codesign.quant.widths import FLOAT_BITS, Widths
from codesign.train.recipe import Precision, Recipe

if TYPE_CHECKING:
    from codesign.frontends.brevitas import Imported
    from codesign.frontends.qkeras import Imported as ImportedQKeras
    from codesign.ir import Graph

Positive = Annotated[float, msgspec.Meta(gt=0)]

GREATEST_SEED = 2**31 - 1
"""Of a recipe; torch takes one of 64 bits, a million times this and more."""

MOST_PADDING = 32
"""Pixels of `crop_padding`: the side of the images of most data sets, beyond which a crop may see nothing of them."""


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured on the trained checkpoint.

    Attributes
    ----------
    float_accuracy : float or None
        Top-1 in percent of the float32 network, whole test set.
    accuracy : float or None
        Top-1 in percent of the integer graph, golden executor, whole test set.
    validation_accuracy : float or None
        Top-1 in percent on the held-out training examples.
    images, seed, epochs, parameters, macs : int or None
        Size of the test set; of the training; of the network.
    checkpoint_sha256 : str or None
        Digest of the checkpoint that was measured.
    precision : str or None
        That it was trained in, where it is not that of the recipe.
    """

    float_accuracy: float | None = None
    accuracy: float | None = None
    validation_accuracy: float | None = None
    images: int | None = None
    seed: int | None = None
    epochs: int | None = None
    parameters: int | None = None
    macs: int | None = None
    checkpoint_sha256: str | None = None
    precision: Precision | None = None


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the integers of an imported model come from.

    Attributes
    ----------
    file : str
        Name of the file, for people.
    sha256 : str
        Digest of that file.
    graph_sha256 : str
        Digest of the integer graph made of it, which lies beside the TOML file.
    """

    file: str
    sha256: str
    graph_sha256: str


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A model as its TOML file describes it.

    Attributes
    ----------
    title : str
        One line for people.
    framework : {"brevitas", "qkeras", "qonnx"}
        What it is trained with; a float network of "brevitas" is plain torch. One of "qonnx" was imported as a file,
        and is integers alone.
    input_scale : float
        Value of one step of the integer input, a power of two for what is trained here.
    dataset, topology : str
        Names of files in `codesign/data` and `codesign/train/topologies` (`keras_topologies` for QKeras). An imported
        model has no topology, and perhaps no data set.
    topology_options : dict
        Arguments of the topology.
    widths : Widths
        Bit widths.
    method : Method
        Quantisation methods.
    mixed : Mixed or None
        Hidden layers with widths of their own.
    recipe : Recipe or None
        How it is trained.
    result : Result
        What was measured.
    source : Source or None
        Of an imported model.
    path : str
        The TOML file; not read from it.
    """

    title: str
    framework: Literal["brevitas", "qkeras", "qonnx"]
    input_scale: Positive
    dataset: str = ""
    topology: str = ""
    topology_options: dict[str, Any] = msgspec.field(default_factory=dict)
    widths: Widths = Widths()
    method: Method = Method()
    mixed: Mixed | None = None
    recipe: Recipe | None = None
    result: Result = Result()
    source: Source | None = None
    path: str = ""

    @property
    def name(self) -> str:
        """Name of the model, that of its file."""
        return Path(self.path).stem

    @property
    def checkpoint_path(self) -> Path:
        """The trained weights, or the integers of an imported model, beside the TOML file."""
        return Path(self.path).with_suffix(".graph" if self.framework == "qonnx" else ".safetensors")

    @property
    def measured(self) -> Result:
        """The recorded result as far as it holds for the checkpoint on disk.

        `checkpoint_sha256` is the digest of the file that is there, None without one. When the result was
        recorded for other weights, all that was measured on them is None.
        """
        path = self.checkpoint_path
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        if digest is not None and digest == self.result.checkpoint_sha256:
            return self.result
        return Result(parameters=self.result.parameters, macs=self.result.macs, checkpoint_sha256=digest)

    @property
    def is_outdated(self) -> bool:
        """Whether accuracies are recorded that do not belong to the checkpoint on disk."""
        result, measured = self.result, self.measured
        recorded = (result.accuracy, result.float_accuracy, result.validation_accuracy)
        return recorded != (measured.accuracy, measured.float_accuracy, measured.validation_accuracy)

    def module(self) -> Any:
        """Return the network with fresh weights: a torch module in training mode, or a Keras model."""
        self._require_trained_here()
        if self.framework == "qkeras":
            from codesign.train import keras_model

            return keras_model.fresh(self)
        from codesign.quant import layers

        try:
            maker = layers.make(self.widths, self.method)
            if self.mixed is None:
                return self.module_of(maker)
            from codesign.quant import mixed_layers
            from codesign.quant.recorded import RecordedLayers

            recorded = RecordedLayers(maker)
            network = self.module_of(recorded)
            mixed_layers.give_widths(network, recorded, self.mixed)
            return network
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from error

    def module_of(self, layers: Any) -> Any:
        """Return the torch network of this model's topology, made of other layers (`codesign.quant.layers.Layers`)."""
        from codesign import data
        from codesign.train import strided, topologies

        dataset = data.info(self.dataset)
        shape, classes = dataset.shape, len(dataset.classes)
        return strided.guarded(topologies.build(self.topology, layers, shape, classes, self.topology_options))

    def build(self) -> Any:
        """Return the trained network: a torch module in evaluation mode, or a Keras model.

        Raises
        ------
        UserError
            When the checkpoint is missing, damaged or of another network, or QKeras is needed and missing.
        """
        self._require_trained_here()
        if self.framework == "qkeras":
            from codesign.train import keras_model

            return keras_model.trained(self)
        from codesign.train import checkpoint

        module = self.module()
        checkpoint.load_weights(module, self.checkpoint_path)
        if self.mixed is not None:
            from codesign.quant import mixed_layers

            try:
                mixed_layers.require_loaded(module)
            except UserError as error:
                raise UserError(f"{self.path}: {error}.") from error
        return module.eval()

    def graph(self) -> Graph:
        """Return the integer graph of the trained network, through the frontend of its framework.

        Raises
        ------
        UserError
            When the network has float weights, or its checkpoint is missing or damaged.
        """
        if self.framework == "qonnx":
            return self._stored()
        return self.imported_qkeras().graph if self.framework == "qkeras" else self.imported().graph

    def _stored(self) -> Graph:
        """Return the integers of an imported model."""
        from codesign import ir

        graph = ir.load(self.checkpoint_path)
        if self.source is None or ir.digest(graph) != self.source.graph_sha256:
            raise UserError(
                f"{self.checkpoint_path} is not the graph that {self.path} was written with; import the file again "
                f"with codesign import FILE --name {self.name} --force."
            )
        return graph

    def _require_trained_here(self) -> None:
        """Raise `UserError` for an imported model, which is no float network."""
        if self.framework == "qonnx":
            raise UserError(f"{self.name} was imported as integers and has no float network; compare it with its file.")

    def imported_qkeras(self) -> ImportedQKeras:
        """Return the trained QKeras network with its integer graph and the constants frozen on the way."""
        from codesign import data
        from codesign.frontends.qkeras import import_qkeras
        from codesign.ir import IntType

        self.require_integers()
        self._require_trained_here()
        dataset = data.info(self.dataset)
        return import_qkeras(
            self.build(),
            input_type=IntType(dataset.input_bits, dataset.input_signed),
            input_scale=self.input_scale,
            name=self.name,
        )

    def imported(self) -> Imported:
        """Return the trained Brevitas network with its integer graph and the constants frozen on the way."""
        self.require_integers()
        self._require_trained_here()
        return self.imported_of(self.build())

    def imported_of(self, network: Any) -> Imported:
        """Return a Brevitas network of this model's topology and widths, in evaluation mode, as `imported` does."""
        import torch

        from codesign import data
        from codesign.frontends.brevitas import import_brevitas
        from codesign.ir import IntType

        dataset = data.info(self.dataset)
        shape = dataset.shape if len(dataset.shape) == 1 else (dataset.shape[2], *dataset.shape[:2])
        return import_brevitas(
            network,
            torch.zeros(1, *shape),
            input_type=IntType(dataset.input_bits, dataset.input_signed),
            input_scale=self.input_scale,
            name=self.name,
        )

    def require_integers(self) -> None:
        """Raise `UserError` for a float network, which has no integer graph."""
        if self.widths.is_float:
            others = [name for name in names() if name.split("_")[0] == self.name.split("_")[0] and name != self.name]
            hint = f"such as {' or '.join(others[:3])}" if others else "see `codesign models`"
            raise UserError(f"{self.name} has float weights and no integer graph; choose a quantised model, {hint}.")

    def sibling(self, name: str) -> Model:
        """Return another model, searched in this model's folder first."""
        path = Path(self.path).with_name(f"{name}.toml")
        return read(path) if path.is_file() else load(name)

    def fingerprint(self) -> str:
        """Return a digest of all that decides the trained weights: everything but title and result."""
        bare = msgspec.to_builtins(msgspec.structs.replace(self, title="", result=Result(), path=""))
        # Trainings and searches that are older than this field go on.
        del bare["result"]["precision"]
        return hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()


def folders() -> list[Path]:
    """Return the folders searched for models: $CODESIGN_MODELS, ./models, those of the package."""
    found: list[Path] = []
    if chosen := os.environ.get("CODESIGN_MODELS"):
        if not Path(chosen).is_dir():
            raise UserError(f"CODESIGN_MODELS names '{chosen}', which is no folder; correct it or unset it.")
        found.append(Path(chosen))
    local = Path.cwd() / "models"
    if any(local.glob("*.toml")):
        found.append(local)
    try:
        found.append(resources.folder("models"))
    except FileNotFoundError:
        if not found:
            raise UserError("there is no folder of models; set CODESIGN_MODELS to one.") from None
    return found


def names() -> list[str]:
    """Return the names of all models, sorted."""
    return sorted({path.stem for folder in folders() for path in folder.glob("*.toml")})


def load(name: str) -> Model:
    """Return the model `name`, or the model of a path that ends in `.toml`.

    Raises
    ------
    UserError
        When there is no such model or its file is not right.
    """
    if name.endswith(".toml"):
        return read(Path(name))
    _names.check("model", name, names())
    return read(next(path for folder in folders() for path in folder.glob("*.toml") if path.stem == name))


def read(path: Path) -> Model:
    """Read a model file.

    Raises
    ------
    UserError
        Naming the file, the field and what is expected there.
    """
    path = Path(os.path.abspath(path))
    if not path.is_file():
        raise UserError(f"there is no file {path}; `codesign models` lists the known models.")
    model = tomlfile.read(path, Model)
    if model.path:
        raise UserError(f"{path}: unknown field 'path'; remove it.")
    needed = ("source",) if model.framework == "qonnx" else ("dataset", "topology")
    for field in needed:
        if not getattr(model, field):
            raise UserError(f"{path}: the field '{field}' is missing.")
    if model.mixed is not None and model.framework != "brevitas":
        raise UserError(f'{path}: [mixed] is for the framework "brevitas"; remove it.')
    if model.mixed is not None and model.widths.is_float:
        raise UserError(
            f"{path}: [mixed] is for quantised networks; give widths.weight_bits and widths.activation_bits."
        )
    if model.framework != "qonnx" and math.frexp(model.input_scale)[0] != 0.5:
        raise UserError(
            f"{path}: the field 'input_scale' must be a power of two, such as 0.015625, found {model.input_scale}."
        )
    _require_widths(model, path)
    _require_bounds(model, path)
    return msgspec.structs.replace(model, path=str(path))


def _require_widths(model: Model, path: Path) -> None:
    """Raise `UserError` when a method is chosen for what has no width and so would be float."""
    if model.framework != "brevitas":
        # QKeras has no float layers here and says so itself.
        return
    method, plain, mixed = model.method, Method(), model.mixed or Mixed()
    for part, field, options, named in (
        ("weights", "weight", method.weight_options, mixed.weights),
        ("activations", "activation", method.activation_options, mixed.activations),
    ):
        if getattr(model.widths, f"{field}_bits") != FLOAT_BITS or named:
            continue
        chosen = getattr(method, part)
        if chosen != getattr(plain, part) or options:
            asked = f"{chosen} {part}" if chosen != getattr(plain, part) else f"{field}_options"
            raise UserError(
                f"{path}: [method] asks for {asked}, but widths.{field}_bits = {FLOAT_BITS} is float; give that "
                "width, or remove it from [method]."
            )


def _require_bounds(model: Model, path: Path) -> None:
    """Raise `UserError` for numbers of a recipe that no training can be made with."""
    if model.recipe is None:
        return
    for field, most in (("seed", GREATEST_SEED), ("crop_padding", MOST_PADDING)):
        found = getattr(model.recipe, field)
        if found > most:
            raise UserError(f"{path}: the field 'recipe.{field}' must be 0 to {most}, found {found}.")


def record(model: Model, values: dict[str, Any]) -> Model:
    """Write measured values into the `[result]` section of the model's file, keeping the rest as it is.

    Parameters
    ----------
    model : Model
        Its file is changed.
    values : dict
        Fields of `Result`; None removes a field.

    Returns
    -------
    Model
        Read again from the file.
    """
    from codesign.files import atomic_write

    merged = msgspec.structs.asdict(model.result) | values
    msgspec.convert(merged, Result)
    lines = ["[result]"]
    for key in Result.__struct_fields__:
        value = merged.get(key)
        if value is not None:
            lines.append(f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value!r}")
    text = Path(model.path).read_text(encoding="utf-8")
    # The section ends at the next header or at the end of the file.
    section = re.compile(r"^\[result\][^\n]*(?:\n(?!\[)[^\n]*)*", re.MULTILINE)
    body = "\n".join(lines) + "\n"
    text = section.sub(lambda _: body, text) if section.search(text) else text.rstrip("\n") + "\n\n" + body
    tomllib.loads(text)
    atomic_write(model.path, text)
    return read(Path(model.path))
