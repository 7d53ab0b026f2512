"""The questions that the table answers, beside the comparison of every row with LSQ or sign."""

from __future__ import annotations

from dataclasses import dataclass

from accuracy_table.rows import ROWS

ACCURACY = "accuracy"
FOLDED = "folded"
SCALED = {"0.5": "inputs × 0.5", "2": "inputs × 2", "2 unclipped": "inputs × 2, unclipped"}


@dataclass(frozen=True)
class Comparison:
    """A question that the table answers.

    Attributes
    ----------
    left, right : str
        Keys of rows.
    measure : str
        "accuracy", or a key of `SCALED`: then what is compared is the accuracy lost under scaled inputs,
        counted so that a positive difference is in favour of `left`. With "folded", accuracies of `left` are compared
        with those that the same networks of `right` have with their steps folded out.
    margin : float or None
        Points by which `left` may be below `right`: asked is whether the interval stays above -margin.
    """

    left: str
    right: str
    measure: str = ACCURACY
    margin: float | None = None


def comparisons() -> tuple[Comparison, ...]:
    """Return the named comparisons, beside that of every row with LSQ or sign."""
    asked = [Comparison("asqpost_w4", "lsq_w4", margin=0.2), Comparison("asqpost_w4", "pot_w4")]
    asked += [
        Comparison("bitat_w1", "sign_w1"),
        Comparison("bitat_w1", "bitat_identity_w1"),
        Comparison("react_w1", "sign_w1"),
        Comparison("bitat_react_w1", "react_w1"),
        Comparison("bitat_react_w1", "bitat_w1"),
    ]
    asked += [Comparison(f"lsq_distilled_w{bits}", f"lsq_w{bits}") for bits in (4, 3, 2)]
    asked += [
        Comparison("asq_w4", "asq_continuous_w4"),
        Comparison("post_w4", "pot_w4"),
        Comparison("post_w3", "pot_w3"),
    ]
    # What of a difference between ASQ and LSQ is of adaptivity remains in these.
    for bits in (4, 2):
        asked += [Comparison(f"lsq_fast_w{bits}", f"lsq_w{bits}"), Comparison(f"asq_w{bits}", f"lsq_fast_w{bits}")]
    asked += [Comparison(row.key, row.key, FOLDED) for row in ROWS if row.activations == "asq"]
    asked += [Comparison(f"lsq_w{bits}", f"asq_w{bits}", FOLDED) for bits in (4, 3, 2)]
    for bits in (4, 3, 2):
        asked += [Comparison(f"asq_w{bits}", f"lsq_w{bits}", measure) for measure in SCALED]
    return tuple(asked)
