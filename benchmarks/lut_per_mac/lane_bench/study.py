"""From counted cells to the cost of a product: the results file and its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lane_bench.designs import FORMS, Design

NARROW, WIDE = 8, 32
"""The marginal cost of a product is the slope between lanes of this many products per clock."""

TERNARY = ("uniform", "post", "apot")
"""At 2 bits their levels are -1, 0, 1, those of powers of two: the lane of these takes them too."""


def entry(design: Design, counted: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """The numbers of one form at one pair of widths.

    Parameters
    ----------
    design : Design
        Of any number of products.
    counted : mapping
        Of that form and those widths: products per clock, as text → counts of `yosys.count`.
    """
    return {
        "form": design.form,
        "kind": FORMS[design.form].kind,
        "bits": design.bits,
        "activation_bits": design.activation_bits,
        "marginal": {
            cell: round((counted[str(WIDE)].get(cell, 0) - counted[str(NARROW)].get(cell, 0)) / (WIDE - NARROW), 2)
            for cell in sorted({*counted[str(WIDE)], *counted[str(NARROW)]})
        },
        "lanes": dict(counted),
    }


def cheapest(entries: list[dict[str, Any]], kind: str, bits: int, activation_bits: int) -> dict[str, Any] | None:
    """The entry of a kind with the fewest LUTs per product among its whole lanes, or None."""
    fitting = {kind, "pot"} if bits == 2 and kind in TERNARY else {kind}
    found = [
        item
        for item in entries
        if item["kind"] in fitting
        and (item["bits"], item["activation_bits"]) == (bits, activation_bits)
        and FORMS[item["form"]].alone
    ]
    return min(found, key=lambda item: (item["marginal"]["lut"], item["form"]), default=None)


def kinds() -> list[str]:
    """Kinds of weights, in the order of the tables."""
    return list(dict.fromkeys(form.kind for form in FORMS.values()))


def summary(entries: list[dict[str, Any]], *, eight: bool = False) -> dict[str, dict[str, float]]:
    """LUT per product by kind and weight bits, cheapest form; activations as wide as weights, or of 8 bits."""
    result: dict[str, dict[str, float]] = {}
    for kind in kinds():
        for bits in (1, 2, 3, 4, 5):
            if item := cheapest(entries, kind, bits, 8 if eight else bits):
                result.setdefault(kind, {})[str(bits)] = item["marginal"]["lut"]
    return result


def table(families: Mapping[str, list[dict[str, Any]]]) -> str:
    """The measurements in Markdown."""
    return "\n".join(_lines(families))


def _lines(families: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    yield (
        "| form | w | a | "
        + " | ".join(f"{family} LUT at 1 | 8 | 32 | per MAC | carry per MAC" for family in families)
        + " |"
    )
    yield "|---" * (3 + 5 * len(families)) + "|"
    keys = sorted(
        {(item["form"], item["bits"], item["activation_bits"]) for entries in families.values() for item in entries},
        key=lambda key: (key[1], key[2], list(FORMS).index(key[0])),
    )
    for key in keys:
        cells = []
        for family, entries in families.items():
            item = next((i for i in entries if (i["form"], i["bits"], i["activation_bits"]) == key), None)
            if item is None:
                cells += [""] * 5
                continue
            carry = item["marginal"]["CARRY4" if family == "xc7" else "CCU2C"]
            cells += [*(str(item["lanes"][simd]["lut"]) for simd in ("1", "8", "32"))]
            cells += [f"**{item['marginal']['lut']:.1f}**", f"{carry:.1f}"]
        yield "| " + " | ".join([key[0], str(key[1]), str(key[2]), *cells]) + " |"
