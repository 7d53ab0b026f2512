"""Mistakes of the user's: one clear sentence each, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import TOY, CommandLine, start

NASTY = '"; system("rm -rf /")'


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("synth", "resnet8_w33"), "resnet8_w3"),
        (("emit", "toy_w4"), "did you mean toy_w3"),
        (("emit", "toy_w3", "--board", "pynq"), "did you mean pynq-z2"),
        (("emit", "../toy_w3"), "there is no model"),
        (("emit", NASTY), "there is no model"),
        (("emit", "toy_w3", "--board", "../pynq-z2"), "there is no board"),
        (("emit", "toy_w3", "--io", "io_serial"), "io_stream"),
        (("emit", "toy_w3", "--clock", "0"), "--clock"),
        (("verify", "toy_w3", "--vectors", "many"), "many"),
        (("verify", "toy_w3", "--backend", "gpu"), "csim"),
        (("synth", "toy_w3", "--board", "ulx3s-85f"), "AMD parts"),
        (("nonsense",), "nonsense"),
        (("emit",), "MODEL"),
    ],
)
def test_wrong_arguments_are_told_in_one_sentence(codesign: CommandLine, arguments: tuple[str, ...], sentence: str):
    told = codesign(*arguments)
    assert told.code == 2
    assert told.out == ""
    assert len(told.err.strip().splitlines()) == 1
    assert sentence in told.err
    as_json = codesign(*arguments, "--json")
    assert as_json.code == 2
    assert sentence in as_json.json["error"]
    assert not (codesign.folder / "build").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("weight_bits = 3", 'weight_bits = "three"'), "weight_bits"),
        (("width = 4", "width = 4\nextra = 1"), "extra"),
        (('framework = "brevitas"', 'framework = "caffe"'), "framework"),
        (('dataset = "digits"', 'dataset = "digist"'), "digits"),
        (("input_scale = 0.0625", "input_scale = 0.1"), "power of two"),
        (('title = "A narrow residual network"', "title = "), "TOML"),
    ],
)
def test_a_wrong_model_file_is_named_with_its_field(
    codesign: CommandLine,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
    sentence: str,
):
    own = tmp_path / "own"
    shutil.copytree(models, own)
    (own / "toy_w3.toml").write_text(TOY.replace(*change))
    monkeypatch.setenv("CODESIGN_MODELS", str(own))
    told = codesign("emit", "toy_w3", "--json")
    assert told.code == 2
    assert sentence in told.json["error"]


@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "other"])
def test_a_damaged_checkpoint_is_told(
    codesign: CommandLine, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
):
    own = tmp_path / "own"
    shutil.copytree(models, own)
    weights = own / "toy_w3.safetensors"
    if damage == "missing":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "garbage":
        weights.write_bytes(os.urandom(1000))
    else:
        (own / "toy_w3.toml").write_text(TOY.replace("width = 4", "width = 8"))
    monkeypatch.setenv("CODESIGN_MODELS", str(own))
    told = codesign("synth", "toy_w3", "--json")
    assert told.code == 2
    assert "toy_w3.safetensors" in told.json["error"]


def test_a_file_name_that_is_no_folder_name_is_refused(codesign: CommandLine, models: Path, tmp_path: Path):
    path = tmp_path / "a; touch pwned.toml"
    shutil.copyfile(models / "toy_w3.toml", path)
    told = codesign("emit", str(path), "--json")
    assert told.code == 2
    assert "rename it" in told.json["error"]


def test_a_missing_compiler_is_asked_for(codesign: CommandLine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    told = codesign("verify", "toy_w3", "--json")
    assert told.code == 2
    assert "g++" in told.json["error"]


def limited() -> None:
    """Refuse files above 20 kB, as a disk that fills up does."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, models: Path):
    process = start(tmp_path, models, "emit", "toy_w3", "--json", preexec_fn=limited)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert "Traceback" not in err
    assert "free some space" in json.loads(out)["error"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list(tmp_path.glob("build/toy_w3/pynq-z2/*")) == []


def test_output_that_cannot_be_written_is_a_failure(tmp_path: Path):
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "codesign", "boards", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert process.returncode == 2
    assert "Traceback" not in process.stderr
    assert "No space left" in process.stderr


def test_a_reader_that_leaves_is_no_error_message(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-m", "codesign", "boards"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "moment", "number"),
    [
        (("synth", "toy_w3"), "Converting", signal.SIGINT),
        (("synth", "toy_w3"), "Writing", signal.SIGTERM),
        (("synth", "toy_w3"), "Compiling", signal.SIGINT),
        (("verify", "toy_w3", "--vectors", "20000"), "Comparing", signal.SIGINT),
        (("evaluate", "toy_w3", "--backend", "csim"), "Compiling", signal.SIGHUP),
    ],
)
def test_an_interrupt_is_one_sentence_and_leaves_nothing_half(
    tmp_path: Path, models: Path, compiled: Path, arguments: tuple[str, ...], moment: str, number: int
):
    """The signal comes in the middle of a step, which standard error announces."""
    if moment == "Comparing":
        shutil.copytree(compiled, tmp_path / "build")
    process = start(tmp_path, models, *arguments)
    assert process.stderr is not None
    before = []
    for line in process.stderr:
        before.append(line)
        if line.startswith(moment):
            break
    assert before, "the command ended before the step"
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.strip().splitlines()[-1] == "codesign: interrupted; nothing half-written was left behind."
    assert [path for path in tmp_path.rglob(".*") if path.is_file() or any(path.iterdir())] == []
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(str(tmp_path).encode() in command for command in running)


def children_seconds() -> float:
    """Processor time of ended child processes: what they cost, however busy the machine is."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_is_quick_and_loads_nothing_heavy(tmp_path: Path):
    code = (
        "import sys\n"
        "from codesign.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'brevitas', 'hls4ml', 'tensorflow', 'sklearn', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    took = []
    for _ in range(4):
        begin = children_seconds()
        process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        took.append(children_seconds() - begin)
        assert process.returncode == 0, process.stderr
        assert "synth" in process.stdout
    assert min(took) < 0.5


def test_the_version_is_told(codesign: CommandLine):
    assert codesign("--version").out.startswith("codesign 0.")
