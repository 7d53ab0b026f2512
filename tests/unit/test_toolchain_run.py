"""Running and finding outside tools."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codesign.errors import UserError
from codesign.toolchain import gpp, vitis_hls
from codesign.toolchain.find import find
from codesign.toolchain.run import run

SLEEPER = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)', {tag!r}])"


def tool(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def running(tag: str) -> bool:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if tag.encode() in process.read_bytes():
                return True
        except OSError:
            continue
    return False


def test_output_goes_to_the_log_and_comes_back(tmp_path: Path):
    done = run(
        [sys.executable, "-c", "import os, sys; print(os.getcwd(), os.environ['X']); sys.exit('wrong')"],
        folder=tmp_path,
        log=tmp_path / "logs" / "tool.log",
        environment={"X": "1"},
    )
    assert done.returncode == 1
    assert done.output == (tmp_path / "logs" / "tool.log").read_text() == f"{tmp_path} 1\nwrong\n"
    assert done.tail(1) == "wrong"


def test_arguments_never_meet_a_shell(tmp_path: Path):
    nasty = '"; touch pwned; $(touch pwned) `touch pwned`'
    done = run([sys.executable, "-c", "import sys; print(sys.argv[1])", nasty], folder=tmp_path)
    assert done.output.strip() == nasty
    assert list(tmp_path.iterdir()) == []


def test_a_missing_tool_is_one_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="cannot start no-such-tool"):
        run([tmp_path / "no-such-tool"])


def test_a_tool_that_hangs_is_ended_with_its_children(tmp_path: Path):
    tag = f"sleeper-{os.getpid()}-timeout"
    start = time.monotonic()
    with pytest.raises(UserError, match=r"did not finish within 0\.5 s"):
        run([sys.executable, "-c", SLEEPER.format(tag=tag)], timeout_s=0.5)
    assert time.monotonic() - start < 20
    assert not running(tag)


def test_an_interrupt_leaves_nothing_running(tmp_path: Path):
    tag = f"sleeper-{os.getpid()}-interrupt"
    code = (
        "import signal, sys; from codesign.toolchain.run import run\n"
        # A process in the background starts out deaf to Ctrl-C.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"try: run([sys.executable, '-c', {SLEEPER.format(tag=tag)!r}])\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    outer = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 30
    while not running(tag):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    outer.send_signal(signal.SIGINT)
    assert outer.wait(20) == 130
    assert not running(tag)


def test_tools_are_found_in_the_given_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tool(tmp_path, "second", "echo second 1.2.3")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find(["first"]) is None
    found = find(["first", "second"])
    assert found is not None
    assert (found.name, found.path, found.version) == ("second", tmp_path / "second", "1.2.3")
    tool(tmp_path, "first", "exit 1")
    found = find(["first", "second"])
    assert found is not None
    assert (found.name, found.version) == ("first", "unknown")


def test_the_compiler_is_found_or_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert gpp.require().version[0].isdigit()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"g\+\+"):
        gpp.require()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("vitis-run", ["--mode", "hls", "--tcl", "build.tcl"]), ("vitis_hls", ["-f", "build.tcl"])],
)
def test_vitis_hls_runs_the_script_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, arguments: list[str]
):
    settings, project = tmp_path / "xilinx", tmp_path / "project"
    (settings / "bin").mkdir(parents=True)
    project.mkdir()
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("XILINX_VITIS", raising=False)
    monkeypatch.setenv("XILINX_HLS", str(settings))
    assert vitis_hls.locate() is None
    tool(settings / "bin", name, 'if [ "$1" = -version ]; then echo v2024.2; else echo "$@" > ran; fi')
    found = vitis_hls.locate()
    assert found is not None
    assert found.version == "2024.2"
    vitis_hls.synthesise(found, project)
    assert (project / "ran").read_text().split() == arguments
    assert vitis_hls.command("build.tcl", name) == [name, *arguments]


def test_a_failed_synthesis_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tool(tmp_path, "vitis_hls", "echo ERROR: no licence; exit 3")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("XILINX_HLS", raising=False)
    found = vitis_hls.locate()
    assert found is not None
    with pytest.raises(UserError, match=r"code 3; see .*vitis_hls\.log"):
        vitis_hls.synthesise(found, tmp_path)
    assert "no licence" in (tmp_path / "vitis_hls.log").read_text()
