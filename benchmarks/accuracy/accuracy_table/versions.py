"""Which version of the code trains a row, and from which checkpoints, as digests."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import codesign
from accuracy_table.rows import FLOAT_START, TEACHER, Row
from codesign import zoo

PACKAGE = Path(codesign.__path__[0])
HERE = Path(__file__).parent

# Where imports are followed: what decides the weights and the accuracy is there. A package's own `__init__` is not
# looked at: it only finds modules by name.
ROOMS = ("quant", "train", "data")
# Modules of these rooms that no figure depends on.
APART = {"train.progress", "train.memory", "data._fetch"}

# Other versions that train the same weights, each with the present one. An entry ends to count with the next change.
SAME = {
    # The loop of QKeras models adds what a network has as losses of its own and asks for a companion. These rows have
    # neither: an epoch of `qkeras_w2_s1` ends with the same checkpoint, byte for byte.
    "dd238e73305e7096": "64fd8f0b8f8567a9",
    # Training and teachers compute in float32 on processors that are not fast in bfloat16, and strided 1×1 convolutions
    # of fewer than 16 channels over the pixels that they read. These rows were trained on a processor with AVX-512 and
    # have no such convolution: an epoch of a network in bfloat16 ends with the same checkpoint.
    "00e822e25e7d3db5": "40a18d3fd4d79e0f",
    "07036d265a3584af": "6f359db4bd9fad29",
    "162f095ff7bca97e": "fb5dd71da9c211ec",
    "731aa12c4cd78df5": "a083acc5eda891a5",
    "77047c1cadd0ec88": "a4b4ea44e3e8d803",
    "8409f3a67859e932": "772a0e6f4a78ab59",
    "a3fe7a09094908b0": "a48c89573e3a330a",
    "adc58573d417f5cd": "9557a3acaf75d543",
    "d013242f6b774574": "d9a277547de136b8",
    "d0428fd1a25b9e0f": "c85300a659f77f73",
    "d7aa86d1e4800a6c": "64fd8f0b8f8567a9",
    "d9bdf53cae8bfd3b": "0aa9dfb247d89cda",
    "db759f5e10b825eb": "9313bd6beddaa1d9",
    "dd15939eb6bcab60": "1f3d57c3f8de6234",
}

# What is loaded by name, beside the methods of a row, and so is no import that could be followed.
BY_NAME = {
    "brevitas": ("quant.lsq", "quant.brevitas_layers", "train.strided", "train.topologies.resnet8", "data.cifar10"),
    "qkeras": ("train.keras_topologies.resnet8", "data.cifar10"),
}


def code_digest(row: Row) -> str:
    """Return a digest of the code that trains and evaluates a row.

    It covers the row's methods, the edges, the network, the training loop and the evaluation, each with all that it
    imports from `codesign/quant`, `codesign/train` and `codesign/data`, within functions too. Comments, docstrings
    and layout do not count. A result of another digest was trained with another version.
    """
    digest = hashlib.sha256()
    for name, text in sorted(sources(row).items()):
        digest.update(name.encode() + b"\0" + _parsed(name, text)[0].encode() + b"\0")
    return digest.hexdigest()[:16]


def version_of(row: Row, result: Mapping[str, Any]) -> str:
    """Return the version that a result is of: `code_digest(row)` when it is the present one.

    That of a result which tells of other checkpoints than those that are here, its float start or its teacher, has
    their digests too. What a result does not tell, or a checkpoint that is missing here, makes no other version.
    """
    found = str(result.get("code"))
    found = SAME.get(found, found)
    present = origins(row)
    for name in sorted(present.keys() & result.keys()):
        if result[name] != present[name]:
            found += f" {name} {result[name]}"
    return found


def origins(row: Row, model: zoo.Model | None = None) -> dict[str, str]:
    """Return the SHA-256 of the checkpoints that a row learns from, "start_sha256" and so on, of those that are here.

    Parameters
    ----------
    row : Row
    model : Model, optional
        Of a run; models beside its file come first.
    """
    names = {"start_sha256": FLOAT_START} | ({"teacher_sha256": TEACHER} if row.distilled else {})
    paths = {key: (model.sibling(name) if model else zoo.load(name)).checkpoint_path for key, name in names.items()}
    return {key: _sha256(path, path.stat().st_mtime_ns) for key, path in paths.items() if path.is_file()}


@functools.cache
def _sha256(path: Path, _changed: int) -> str:
    # Not that of `codesign.train.checkpoint`, which loads torch.
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sources(row: Row) -> dict[str, str]:
    """Return the modules that `code_digest` covers, "quant.lsq" and so on, with their text."""
    methods = "quant" if row.framework == "brevitas" else "quant.keras"
    own = "training"
    apart = APART if row.distilled else APART | {"train.distillation"}
    if row.framework == "brevitas":
        apart = apart | {"train.keras_loop"}
    found = {own: (HERE / f"{own}.py").read_text(encoding="utf-8")}
    waiting = {f"{methods}.{row.weights}", f"{methods}.{row.activations}", *BY_NAME[row.framework]}
    waiting |= _parsed(own, found[own])[1]
    while waiting := waiting - found.keys() - apart:
        name = min(waiting)
        waiting.discard(name)
        path = PACKAGE.joinpath(*name.split(".")).with_suffix(".py")
        # What is imported from a module may be a function as well as a module; quantizers of QKeras have no file.
        if path.is_file():
            found[name] = path.read_text(encoding="utf-8")
            waiting |= _parsed(name, found[name])[1]
    return found


@functools.cache
def _parsed(name: str, text: str) -> tuple[str, frozenset[str]]:
    """Return what a module says without docstrings and layout, and the names it may import in `ROOMS`."""
    tree = ast.parse(text)
    imports = frozenset(other for other in _imports(name, tree) if other.split(".")[0] in ROOMS)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [line for line in body if not _is_docstring(line)]  # type: ignore[attr-defined]
    return ast.dump(tree), imports


def _imports(name: str, tree: ast.AST) -> Iterator[str]:
    """Yield the imported names of a module below `codesign`, without that word."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            whole = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = ["codesign", *name.split(".")][: -node.level] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            whole = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for one in whole:
            if one.startswith("codesign."):
                yield one.removeprefix("codesign.")


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
