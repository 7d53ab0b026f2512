"""The report of a search as one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codesign.files import atomic_write
from codesign.report import scatter, width_map
from codesign.report.numbers import count, short

_HERE = Path(__file__).parent
_COSTS = {
    "bit_operations": "bit operations",
    "lut": "LUT",
    "ff": "FF",
    "bram36": "BRAM, 36 Kib",
    "dsp": "DSP",
    "cycles_per_frame": "cycles per frame",
}
_FAR = 2.0
_PER_FRAME = {"bit_operations": "bit operations per frame"}


def write(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write ``search.html`` into `folder`, whole or not at all; return its path.

    Parameters
    ----------
    folder : Path
    content : mapping
        From `codesign.search.content.collect`.

    Raises
    ------
    UserError
        When the system refuses the write.
    """
    path = folder / "search.html"
    atomic_write(path, render(content))
    return path


def render(content: Mapping[str, Any]) -> str:
    """Return the page; every string in `content` is escaped."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    style = "".join((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "search.css"))
    rows = [width_map.Row(one["name"], one["reads"], one["bits"]) for one in content["layers"]]
    return environment.get_template("search.html").render(
        s=content,
        # The only unescaped parts: our own style sheets, and SVG that escapes its texts itself.
        style=Markup(style),  # noqa: S704
        plots=[{"name": _COSTS[axis], "svg": Markup(_plot(content, axis))} for axis in content["axes"]],  # noqa: S704
        widths=Markup(width_map.svg(rows)),  # noqa: S704
        total=f"{sum(len(one['points']['bit_operations']) for one in content['searches']):,}",
        tiles=_tiles(content),
        searches=[_search(one) for one in content["searches"]],
        trained=[_trained(one, place) for place, one in enumerate(content["trained"])],
        limits=_limits(content),
        layers=[_layer(one, content["layers"]) for one in content["layers"]],
        activations=[_activation(one) for one in content["activations"]],
        priced=any(one["rise"] is not None for one in content["layers"]),
    )


def _plot(content: Mapping[str, Any], axis: str) -> str:
    """Return accuracy against a cost, as SVG."""
    series = [scatter.Series(_named(one), one["points"][axis], one["front"][axis]) for one in content["searches"]]
    limit = content["limits"].get(axis)
    # A limit that nothing comes near to would press all points together.
    if limit is not None and limit > _FAR * max(cost for one in series for cost, _ in one.points):
        limit = None
    return scatter.svg(series, _PER_FRAME.get(axis, _COSTS[axis]), "accuracy, %", limit)


def _named(one: Mapping[str, Any]) -> str:
    return f"{one['strategy']}, seed {one['seed']}" if one["several"] else str(one["strategy"])


def _tiles(content: Mapping[str, Any]) -> list[dict[str, str]]:
    best = content["best"]
    widths = [bits for one in content["layers"] for bits in one["bits"]]
    by = f"found by {best['strategy']}" if best["strategy"] else "found by an earlier search"
    accuracy = _tile("Accuracy", f"{best['accuracy']:.2f}", "%", f"by the search's measure, on validation data; {by}")
    if content["trained"]:
        own = content["trained"][0]
        note = f"trained, in integers on the test set; {own['validation_accuracy']:.2f} % on validation data; {by}"
        accuracy = _tile("Accuracy", f"{own['accuracy']:.2f}", "%", note)
    tiles = [
        accuracy,
        _tile("Bit operations", short(best["bit_operations"]), "", "weight bits × input bits, per frame"),
    ]
    tiles += [
        _tile(_COSTS[name], short(best["cost"][name]), "", "estimated at the best folding")
        for name in ("lut", "cycles_per_frame")
        if name in best["cost"]
    ]
    pruned = sum(bits == 0 for bits in widths)
    binary = sum(bits == 1 for bits in widths)
    note = f"over {len(widths):,} channels, {pruned:,} of them pruned, {binary:,} binary"
    return [*tiles, _tile("Mean width of weights", f"{sum(widths) / len(widths):.2f}", "bit", note)]


def _tile(name: str, value: str, unit: str, note: str) -> dict[str, str]:
    return {"name": name, "value": value, "unit": unit, "note": note}


def _search(one: Mapping[str, Any]) -> dict[str, str]:
    best = one["best"]
    return {
        "strategy": one["strategy"],
        "seed": str(one["seed"]),
        "evaluations": f"{len(one['points']['bit_operations']):,}",
        "accuracy": f"{best['accuracy']:.2f}",
        "loss": "–" if best["loss"] is None else f"{best['loss']:.4f}",
        "bit_operations": short(best["bit_operations"]),
        "on_front": f"{one['on_front']:,}",
    }


def _trained(one: Mapping[str, Any], place: int) -> dict[str, str]:
    return {
        "name": one["name"] if place == 0 else "trained too",
        "proxy": f"{one['proxy_accuracy']:.2f}",
        "loss": "–" if one["proxy_loss"] is None else f"{one['proxy_loss']:.4f}",
        "validation": f"{one['validation_accuracy']:.2f}",
        "test": f"{one['accuracy']:.2f}",
        **{name: f"{one[name]:,.0f}" if name in one else "–" for name in ("bit_operations", "lut", "cycles_per_frame")},
        "exceeds": ", ".join(_COSTS[name] for name in one["exceeds"]) or "nothing",
    }


def _limits(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    best = content["best"]
    taken = {"bit_operations": best["bit_operations"], **best["cost"]}
    return [
        {
            "name": _COSTS[name],
            "used": count(taken[name]),
            "allowed": count(limit),
            "share": 100 * taken[name] / limit if limit else 0.0,
        }
        for name, limit in content["limits"].items()
    ]


def _layer(one: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    most = max(each["bit_operations"] for each in layers) or 1
    counts = Counter(one["bits"])
    return {
        "name": one["name"],
        "scheme": one["scheme"],
        "reads": str(one["reads"]),
        "mean": f"{sum(one['bits']) / len(one['bits']):.2f}",
        "classes": ", ".join(f"{counts[bits]}×{bits}" for bits in sorted(counts, reverse=True)),
        "memory": f"{one['memory']:,}",
        "bit_operations": short(one["bit_operations"]),
        "share": f"{100 * one['bit_operations'] / most:.1f}",
        **_price(one),
    }


def _activation(one: Mapping[str, Any]) -> dict[str, str]:
    return {
        "name": one["name"],
        "bits": str(one["bits"]),
        "readers": ", ".join(one["readers"]) or "no layer with weights",
        **_price(one),
    }


def _price(one: Mapping[str, Any]) -> dict[str, str]:
    rises = {name: "–" if one[name] is None else f"{one[name]:.3g}" for name in ("rise", "narrower")}
    return {**rises, "saved": short(one["saved"])}
