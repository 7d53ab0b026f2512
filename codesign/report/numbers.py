"""Numbers as people read them."""

from __future__ import annotations


def short(value: float) -> str:
    """Return a big number in few characters: 12M for twelve million.

    Parameters
    ----------
    value : float
        Finite.
    """
    value = float(f"{value:.3g}")  # what rounds up to the next unit is told in it
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"


def count(value: float) -> str:
    """Return a count; block memories of 36 Kib come in halves or ninths.

    Parameters
    ----------
    value : float
        0 or more.
    """
    return f"{value:,.2f}".rstrip("0").removesuffix(".")
