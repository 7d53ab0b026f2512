"""The report as one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from codesign.files import atomic_write
from codesign.ir import Graph
from codesign.report import picture
from codesign.report.layers import describe

_HERE = Path(__file__).parent


def write(folder: Path, content: Mapping[str, Any], graph: Graph) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.json`` into `folder`, each whole or not at all.

    Parameters
    ----------
    folder : Path
    content : mapping
        From `codesign.report.content.collect`.
    graph : Graph
        Of the same content; drawn into the page.

    Returns
    -------
    tuple of Path
        The page and the JSON file.

    Raises
    ------
    UserError
        When the system refuses the write.
    """
    page, data = folder / "report.html", folder / "report.json"
    html = render(content, graph)
    atomic_write(data, json.dumps(content, indent=2, allow_nan=False) + "\n")
    atomic_write(page, html)
    return page, data


def render(content: Mapping[str, Any], graph: Graph) -> str:
    """Return the page; every string in `content` and `graph` is escaped."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html").render(
        r=content,
        # The only unescaped parts: our own style sheet, and SVG that escapes its texts itself.
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704
        picture=Markup(picture.svg(graph, describe(graph))),  # noqa: S704
        verdict=_verdict(content["checks"]),
        tiles=_tiles(content),
        checks=[_check(check) for check in content["checks"]],
        resources=_resources(content),
        speed=_speed(content),
        synthesis_note=content["synthesis_note"],
        layers=[_row(layer, content["totals"]["macs"], Markup) for layer in content["layers"]],
        total=_total(content["totals"]),
        facts=_facts(content["model"]),
    )


_SIMULATED = {"csim": "C", "rtl": "RTL", "netlist": "netlist"}
"""Simulations of the hardware by kind of check, in words."""


def _verdict(checks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    done = [check for check in checks if check["done"]]
    # Only a simulation of the hardware says anything about the hardware.
    simulated = [check for check in done if check["kind"] in _SIMULATED]
    if wrong := sum(check["differences"] or 0 for check in done if check["kind"] != "float64"):
        return {"kind": "bad", "text": f"{_number(wrong)} integers differ from the golden executor"}
    if wrong := sum(check["differences"] or 0 for check in done):
        return {"kind": "bad", "text": f"{_number(wrong)} integers differ from the model in float64"}
    if not simulated:
        return {"kind": "open", "text": "Not verified in simulation yet"}
    vectors = max(check["vectors"] or 0 for check in simulated)
    kinds = {check["kind"] for check in simulated}
    *words, last = (word for kind, word in _SIMULATED.items() if kind in kinds)
    named = f"{', '.join(words)} and {last}" if words else last
    return {
        "kind": "good",
        "text": f"Exact in {named} simulation: no integer differs, {_number(vectors)} test vectors",
    }


def _tiles(content: Mapping[str, Any]) -> list[dict[str, str]]:
    model, total = content["model"], content["totals"]
    tiles = []
    if model["accuracy"] is not None:
        floating = model["float_accuracy"]
        images = f"{_number(model['images'])} test images" if model["images"] else "test set"
        against = "" if floating is None else f"; float model {floating:.2f} %"
        tiles.append(_tile("Accuracy in integers", f"{model['accuracy']:.2f}", "%", images + against))
    memory = total["weight_memory_bits"]
    ratio = total["float32_memory_bits"] / memory if memory else 1.0
    tiles.append(
        _tile("Weights", *_bytes(memory), f"{_number(total['weights'])} weights, {ratio:.1f}× less than float32")
    )
    tiles.append(_tile("Multiply-accumulates", *_short(total["macs"]), "per frame"))
    tiles.append(_tile("Bit operations", *_short(total["bit_operations"]), "weight bits × input bits, per frame"))
    widest = total["widest_accumulator_bits"]
    if widest is not None:
        tiles.append(_tile("Widest accumulator", str(widest), "bit", "exact, from the actual weights"))
    synthesis = content["synthesis"]
    if synthesis and synthesis["cycles_per_frame"]:
        clock = content["board"]["clock_mhz"]
        rate = clock * 1e6 / synthesis["cycles_per_frame"]
        tiles.append(_tile("Frames per second", f"{rate:,.0f}", "", f"at {clock:g} MHz, by the tool's report"))
    return tiles


def _tile(name: str, value: str, unit: str, note: str) -> dict[str, str]:
    return {"name": name, "value": value, "unit": unit, "note": note}


def _check(check: Mapping[str, Any]) -> dict[str, str]:
    if not check["done"]:
        outcome, kind = "not done", "open"
    elif check["differences"]:
        outcome, kind = "differs", "bad"
    else:
        outcome, kind = "equal", "good"
    how = check["how"]
    if first := check["first_difference"]:
        how = f"first at {', '.join(f'{key} {value}' for key, value in first.items())}. {how}"
    numbers = {key: _number(check[key]) for key in ("vectors", "tensors", "differences")}
    return {"name": check["name"], "outcome": outcome, "kind": kind, "how": how, **numbers}


def _resources(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    used, board = content["synthesis"], content["board"]
    if not used:
        return []
    rows = [("LUT", used["lut"], board["lut"]), ("FF", used["ff"], board["ff"])]
    if board["bram36"] is not None:
        rows.append(("BRAM, 36 Kib", used["bram36"], board["bram36"]))
    elif board["bram18"] is not None:
        rows.append(("BRAM, 18 Kib", 2 * used["bram36"], board["bram18"]))
    else:
        rows.append(("BRAM, 4 Kib", round(9 * used["bram36"]), board["bram4"]))
    rows.append(("DSP", used["dsp"], board["dsp"]))
    if board["uram"]:
        rows.append(("URAM", used["uram"], board["uram"]))
    return [
        {
            "name": name,
            "used": _number(count),
            "available": _number(limit),
            "share": 100 * count / limit if limit else 0,
        }
        for name, count, limit in rows
    ]


def _speed(content: Mapping[str, Any]) -> str:
    used = content["synthesis"]
    if not used:
        return ""
    parts = []
    if used["cycles_per_frame"]:
        parts.append(f"{_number(used['cycles_per_frame'])} cycles from frame to frame")
    if used["latency_cycles"]:
        parts.append(f"{_number(used['latency_cycles'])} cycles latency")
    if used["fmax_mhz"]:
        parts.append(f"{used['fmax_mhz']:.1f} MHz reachable by the tool's estimate")
    sentence = ", ".join(parts)
    return sentence[:1].upper() + sentence[1:] + ("." if sentence else "")


def _row(layer: Mapping[str, Any], all_macs: int, markup: Any) -> dict[str, Any]:
    widths = layer["weight_bits"]
    return {
        **layer,
        "operator": layer["operator"].replace("_", " "),
        "input_shape": _extent(layer["input_shape"]),
        "output_shape": _extent(layer["output_shape"]),
        "weights": _number(layer["weights"]) if layer["weights"] else "",
        "bits": "" if not widths else str(widths[1]) if widths[0] == widths[1] else f"{widths[0]}–{widths[1]}",
        "zero": f"{100 * layer['zero_weights']:.0f} %" if layer["weights"] else "",
        "histogram": markup(_histogram(layer["histogram"])),
        "constants": _number(layer["constants"]) if layer["constants"] else "",
        "macs": _number(layer["macs"]) if layer["macs"] else "",
        "share": f"{100 * layer['macs'] / all_macs:.1f}" if all_macs else "0",
    }


def _total(total: Mapping[str, Any]) -> dict[str, str]:
    average = total["weight_memory_bits"] / total["weights"] if total["weights"] else 0
    return {
        "weights": _number(total["weights"]),
        "bits": f"{average:.2f}" if average else "",
        "constants": _number(total["constants"]),
        "macs": _number(total["macs"]),
    }


def _facts(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    named = [(key, model[key]) for key in ("framework", "dataset", "topology") if model[key]]
    return [*named, *model["facts"].items()]


def _histogram(bins: Sequence[Sequence[int]]) -> str:
    """Bars of how often each weight value occurs, as SVG."""
    if not bins:
        return ""
    highest = max(count for _, count in bins)
    low, high = bins[0][0], bins[-1][0]
    width = bins[1][0] - low if len(bins) > 1 else 1
    bars = []
    for index, (value, count) in enumerate(bins):
        height = 20 * count / highest
        zero = ' class="zero"' if value <= 0 < value + width else ""
        bars.append(f'<rect{zero} x="{5 * index}" y="{20 - height:.1f}" width="4" height="{height:.1f}"/>')
    title = escape(f"weight values {low} to {high + width - 1}")
    return (
        f'<svg class="histogram" viewBox="0 0 {5 * len(bins)} 20" width="{5 * len(bins)}" role="img" '
        f'aria-label="{title}"><title>{title}</title>{"".join(bars)}</svg>'
    )


def _extent(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.1f}" if isinstance(value, float) and not value.is_integer() else f"{int(value):,}"


def _short(value: int) -> tuple[str, str]:
    """A big number as its leading digits and the word for the rest."""
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}", unit
    return str(value), ""


def _bytes(bits: int) -> tuple[str, str]:
    size = bits / 8
    for limit, unit in ((2**20, "MiB"), (2**10, "KiB")):
        if size >= limit:
            return f"{size / limit:.1f}", unit
    return f"{size:.0f}", "B"
