"""The built wheel carries hardware, models and boards, and works from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the wheel, where an installer would put it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = (folder / "dist").glob("codesign-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(place: Path | None, folder: Path, *arguments: str) -> str:
    environment = dict(os.environ)
    environment.pop("CODESIGN_MODELS", None)
    if place is not None:
        environment["PYTHONPATH"] = str(place)
    command = [sys.executable, "-c", "import codesign.cli.main as m; m.main()", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_travels(unpacked: Path):
    share = unpacked / "codesign" / "_share"
    for name in ("hw", "models", "board"):
        carried = {path.relative_to(share / name) for path in (share / name).rglob("*") if path.is_file()}
        tracked = subprocess.run(["git", "ls-files", name], cwd=ROOT, capture_output=True, text=True, check=True)
        assert {Path(line).relative_to(name) for line in tracked.stdout.split()} <= carried
    assert (unpacked / "codesign" / "report" / "page.html").is_file()
    assert list(unpacked.glob("codesign-*.dist-info/licenses/LICENSE"))


def test_the_wheel_makes_the_same_files_as_the_checkout(unpacked: Path, tmp_path: Path):
    made: dict[str, dict[str, bytes]] = {}
    for name, place in (("wheel", unpacked), ("checkout", ROOT)):
        folder = tmp_path / name
        folder.mkdir()
        source = run(place, folder, "models", "--json")
        assert "digits_cnn_w3" in {model["name"] for model in json.loads(source)["models"]}
        project = json.loads(run(place, folder, "emit", "digits_cnn_w3", "--json"))["folder"]
        made[name] = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in (folder / project).rglob("*")
            if path.is_file()
        }
    assert len(made["wheel"]) > 20
    assert made["wheel"] == made["checkout"]
