"""Measurements that take long, kept in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from codesign.files import atomic_write
from codesign.search.measurements import PairCosts, PairSizes, Table

T = TypeVar("T")


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of a `Table`; JSON keeps each to the last bit."""

    weights: dict[str, dict[str, list[list[float]]]]
    activations: dict[str, list[float]]


class _PairSizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of `PairSizes`."""

    layers: dict[str, dict[str, list[list[float]]]]
    activations: dict[str, list[float]]
    rest: float


class _PairCosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of `PairCosts`."""

    lut: _PairSizes
    dsp: _PairSizes
    bare: _PairSizes | None


def table(path: Path, measure: Callable[[], Table]) -> Table:
    """Return the table of a file, or measure and write it where there is none that can be read.

    Parameters
    ----------
    path : Path
        Its name tells what the table depends on.
    measure : callable

    Raises
    ------
    UserError
        When the system refuses the write.
    """

    def make() -> _Table:
        found = measure()
        return _Table(_lists(found.weights), _lists(found.activations))

    kept = _kept(path, _Table, make)
    return Table(_arrays(kept.weights), _arrays(kept.activations))


def pair_costs(path: Path, measure: Callable[[], PairCosts]) -> PairCosts:
    """Return the costs of a file, or measure and write them; see `table`."""

    def make() -> _PairCosts:
        found = measure()
        return _PairCosts(lists(found.lut), lists(found.dsp), None if found.bare is None else lists(found.bare))

    def lists(each: PairSizes) -> _PairSizes:
        return _PairSizes(_lists(each.layers), _lists(each.activations), each.rest)

    def sizes(each: _PairSizes) -> PairSizes:
        return PairSizes(_arrays(each.layers), _arrays(each.activations), each.rest)

    kept = _kept(path, _PairCosts, make)
    return PairCosts(sizes(kept.lut), sizes(kept.dsp), None if kept.bare is None else sizes(kept.bare))


def _kept(path: Path, kind: type[T], make: Callable[[], T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError):
        pass
    made = make()
    atomic_write(path, msgspec.json.encode(made))
    return made


def _lists(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _lists(one) if isinstance(one, Mapping) else one.tolist() for name, one in arrays.items()}


def _arrays(lists: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _arrays(one) if isinstance(one, Mapping) else np.array(one) for name, one in lists.items()}
