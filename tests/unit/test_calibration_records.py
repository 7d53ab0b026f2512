"""The file of measurements: what is added to it, and what a write that was killed leaves of it."""

from __future__ import annotations

import errno
import fcntl
import re
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from codesign.backends.rtl.calibration import records, run
from codesign.errors import UserError


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    lines = of_design(1000)
    records.append(path, lines)
    whole = path.read_bytes()
    assert b"large" not in whole
    path.write_bytes(whole + whole[:40])
    assert records.read(path) == lines


def of_design(seed: int) -> list[records.Record]:
    return [line for line in records.read(run.data_file("xc7")) if line.design == seed and not line.large]


@pytest.mark.parametrize(
    "left", ["a torn line", "a brace", "whole lines and a torn one", "whole lines", "no line end", "all but the end"]
)
def test_the_rest_of_a_write_that_was_killed_is_measured_again(tmp_path: Path, left: str, monkeypatch) -> None:
    path = tmp_path / "some.jsonl"
    first, second = of_design(1000), of_design(1001)
    records.append(path, first)
    kept = path.read_bytes()
    records.append(path, second)
    both = path.read_bytes()
    lines = both[len(kept) :].splitlines(keepends=True)
    some = b"".join(lines[:3])
    cut = {"a torn line": lines[0][:50], "a brace": b"{", "whole lines and a torn one": some + lines[3][:9],
           "whole lines": some, "no line end": some[:-1], "all but the end": b"".join(lines)[:-2]}  # fmt: skip
    path.write_bytes(kept + cut[left])
    assert records.read(path) == first
    asked = []

    def measured(yosys, name, seed, *rest):
        asked.append(seed)
        return second

    monkeypatch.setattr(run, "measure_design", measured)
    run.measure_all(None, "xc7", [1000, 1001], path, lambda line: None)
    assert asked == [1001]
    assert path.read_bytes() == both


def test_a_last_line_without_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    first, second = of_design(1000), of_design(1001)
    records.append(path, first)
    path.write_bytes(path.read_bytes()[:-1])
    assert records.read(path) == first
    records.append(path, second)
    assert records.read(path) == [*first, *second]


def test_what_is_no_measurement_is_never_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    for content in (
        b'{"mine": 1}',
        b"text",
        b'{"design": 1, "my',
        b'{"design":1,"my',
        b'{"design":1,"name":"x"}',
        b"1",
    ):
        path.write_bytes(content)
        for act in (lambda: records.read(path), lambda: records.append(path, of_design(1000))):
            with pytest.raises(UserError, match="line 1"):
                act()
        assert path.read_bytes() == content


def test_lines_that_were_deleted_by_hand_take_no_others_with_them(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    first, second = of_design(1000), of_design(1001)
    for left in (first[1:], first[:2] + first[3:], first[:-1]):
        path.unlink(missing_ok=True)
        records.append(path, left)
        path.write_bytes(path.read_bytes() + b'{"design":1001,"na')
        assert records.read(path) == left
        records.append(path, second)
        assert records.read(path) == [*left, *second]


def test_a_design_is_added_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when two processes measure the same designs."""
    path = tmp_path / "some.jsonl"
    lines = of_design(1000)
    monkeypatch.setattr(run, "measure_design", lambda *_: lines)
    inner = []

    def told(line: str) -> None:
        inner.append(line)

    def measured(*_: object) -> list[records.Record]:
        monkeypatch.setattr(run, "measure_design", lambda *_: lines)
        run.measure_all(None, "xc7", [1000], path, told)  # type: ignore[arg-type]
        return lines

    monkeypatch.setattr(run, "measure_design", measured)
    run.measure_all(None, "xc7", [1000], path, told)  # type: ignore[arg-type]
    assert len(inner) == 2
    assert records.read(path) == lines


def test_processes_wait_for_one_another(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    with path.open("ab") as file, ThreadPoolExecutor(1) as pool:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = pool.submit(records.append, path, of_design(1000))
        time.sleep(0.5)
        assert path.read_bytes() == b""
        fcntl.flock(file, fcntl.LOCK_UN)
        waiting.result(timeout=60)
    assert records.read(path) == of_design(1000)


def test_measurements_are_kept_where_files_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    path = tmp_path / "some.jsonl"
    monkeypatch.setattr(fcntl, "flock", refused)
    records.append(path, of_design(1000))
    assert records.read(path) == of_design(1000)


def test_of_a_write_that_fails_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    records.append(path, of_design(1000))
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Room for some of the lines; the signal would end the process.
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 2_000, hard))
    try:
        with pytest.raises(UserError, match="cannot write"):
            records.append(path, of_design(1001))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before


def test_counts_below_zero_are_no_measurement(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    records.append(path, records.read(run.data_file("xc7"))[:1])
    text = path.read_text()
    for field in ("design", "lut", "ff", "bram36", "dsp48", "carry"):
        path.write_text(re.sub(f'"{field}":[0-9.]+', f'"{field}":-5', text))
        with pytest.raises(UserError, match=rf"line 1: .*\$.{field}"):
            records.read(path)
    path.write_text(re.sub('"blocks":.*?]]', '"blocks":' + "[" * 100_000, text))
    with pytest.raises(UserError, match=r"line 1: .*; delete the line"):
        records.read(path)
