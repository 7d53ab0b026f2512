"""The floors of ARCHITECTURE.md hold: no import runs up; the README names every layer that the frontends read."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "codesign"

FLOORS = (
    {"errors", "files", "resources", "names", "tomlfile"},
    {"ir", "quant", "data", "toolchain", "boards"},
    {"train", "frontends", "report", "folding", "deploy", "estimate"},
    {"zoo", "store", "backends"},
    {"verify"},
    {"search"},
    {"cli", "api", "__main__"},
)
FLOOR_OF = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def runtime_imports(tree: ast.AST) -> set[str]:
    """Return the modules of this package that a file imports, those for type checkers aside."""
    found: set[str] = set()
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("codesign.")}


def room(dotted: str) -> str:
    return dotted.split(".")[1]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_run_down(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in FLOOR_OF, f"{own} has no floor; give it one here and in ARCHITECTURE.md"
    for imported in runtime_imports(ast.parse(path.read_text())):
        target = room(imported)
        if target in FLOOR_OF:
            assert FLOOR_OF[target] <= FLOOR_OF[own], f"{path.name} imports {imported} from a floor above"


def test_nothing_heavy_is_imported_for_help() -> None:
    heavy = "('torch', 'brevitas', 'tensorflow', 'hls4ml')"
    code = f"import sys, codesign, codesign.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_readme_names_every_layer() -> None:
    from codesign.frontends import brevitas_walk, qkeras_layers

    readme = (ROOT / "README.md").read_text()
    section = readme.split("## Supported layers")[1].split("\n## ")[0]
    refused = {"float_layer", "truncated_pool"}
    for table in (brevitas_walk._MODULES, qkeras_layers._LAYERS):
        for name, handler in table.items():
            if handler.__name__ in refused or name == "QuantNonLinearActLayer":
                continue
            assert f"`{name}`" in section, f"README does not name {name}"
