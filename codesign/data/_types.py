"""What every data set looks like once loaded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError


@dataclass(frozen=True)
class Info:
    """What is known of a data set without its files.

    Attributes
    ----------
    shape : tuple of int
        Shape of one input, channels last.
    classes : tuple of str
        Class names.
    input_bits : int
        Width of the input integers.
    input_signed : bool
        Whether the input integers are signed.
    citation : str
        Where the data comes from.
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...]
    input_bits: int
    input_signed: bool
    citation: str


@dataclass(frozen=True)
class Dataset:
    """A labelled data set of integers, as a sensor or a host gives them.

    Attributes
    ----------
    name : str
        Name of the data set, the same as its file in `codesign/data`.
    x_train, x_test : ndarray
        Images (N, H, W, C) or table rows (N, F), an integer dtype.
    y_train, y_test : ndarray of int64, shape (N,)
        Class indices, 0 to `len(classes) - 1`.
    classes : tuple of str
        Class names.
    input_bits : int
        Width of the input integers.
    input_signed : bool
        Whether the input integers are signed.
    citation : str
        Where the data comes from.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    input_bits: int
    input_signed: bool
    citation: str

    @classmethod
    def of(
        cls,
        name: str,
        info: Info,
        x_train: np.ndarray,
        y_train: np.ndarray,
        x_test: np.ndarray,
        y_test: np.ndarray,
    ) -> Dataset:
        """Return the data set `name` with the properties of `info`; labels become int64."""
        return cls(
            name,
            x_train,
            y_train.astype(np.int64),
            x_test,
            y_test.astype(np.int64),
            info.classes,
            info.input_bits,
            info.input_signed,
            info.citation,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, channels last."""
        return tuple(self.x_train.shape[1:])

    def split(self, validation: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Split the training set, stratified by class.

        Parameters
        ----------
        validation : int
            Number of training examples to hold out, 0 for none.
        seed : int
            The same seed gives the same split.

        Returns
        -------
        train, validation : ndarray of int64
            Sorted indices into `x_train`; disjoint, together every index once.

        Raises
        ------
        UserError
            When `validation` leaves no training example.
        """
        total = len(self.y_train)
        if not 0 <= validation < total:
            raise UserError(
                f"a validation split of {validation} does not fit the {total} training examples of "
                f"{self.name}; choose 0 to {total - 1}."
            )
        rng = np.random.default_rng([seed, 0x5E11])
        held: list[np.ndarray] = []
        # Largest remainders, so that the parts add up to exactly `validation`.
        counts = np.bincount(self.y_train, minlength=len(self.classes))
        quota = counts * validation / total
        share = np.floor(quota).astype(np.int64)
        for index in np.argsort(share - quota, kind="stable")[: validation - int(share.sum())]:
            share[index] += 1
        for label, take in enumerate(share):
            members = np.flatnonzero(self.y_train == label)
            held.append(rng.permutation(members)[:take])
        chosen = np.sort(np.concatenate(held)).astype(np.int64)
        mask = np.ones(total, dtype=bool)
        mask[chosen] = False
        return np.flatnonzero(mask), chosen
