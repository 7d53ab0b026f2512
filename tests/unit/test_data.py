"""Data sets: the registry, splits, the encoders, and files found, downloaded or damaged."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from codesign import data
from codesign.data import _fetch, _idx, cifar10, unsw_nb15
from codesign.data._types import Dataset, Info
from codesign.errors import UserError


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data here but what a test puts there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CODESIGN_DATA", raising=False)
    data.load.cache_clear()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """A local web server that understands ranges; yields its address, its folder and the ranges asked for."""
    root = tmp_path / "served"
    root.mkdir()
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = root / self.path.lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            content = file.read_bytes()
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            asked.append(self.headers.get("Range", ""))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            # A file called broken loses its connection half-way, once.
            body = content[start:]
            if file.name.startswith("broken") and not start:
                body = body[: len(body) // 2]
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{web.server_port}/", root, asked
    web.shutdown()
    web.server_close()


DIGITS = "c3d3b227f2d7a76d21bbbbbf30a807ad4dce179fa80f47a810a28dd3d877dfa1"


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def cifar_archive(count: int = 3, seed: int = 0) -> tuple[bytes, np.ndarray]:
    """A made-up archive in the official layout and its records."""
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (6, count, 3073), dtype=np.uint8)
    records[:, :, 0] %= 10
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, part in zip([f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"], records, strict=True):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = part.nbytes
            tar.addfile(info, io.BytesIO(part.tobytes()))
    return out.getvalue(), records


def idx(array: np.ndarray) -> bytes:
    return gzip.compress(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes(), mtime=0)


def test_the_folder_is_the_registry() -> None:
    assert data.names() == ["cifar10", "digits", "fashion_mnist", "mnist", "unsw_nb15"]
    for name in data.names():
        info = data.info(name)
        assert info.citation
        assert len(info.shape) in (1, 3)


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="did you mean cifar10"):
        data.load("cifar")


def test_digits_need_no_download_and_never_change() -> None:
    digits = data.load("digits")
    assert digits.x_train.shape == (1437, 8, 8, 1)
    assert digits.x_test.shape == (360, 8, 8, 1)
    assert digits.x_train.max() == 16 < 2**digits.input_bits
    whole = digits.x_train.tobytes() + digits.y_train.tobytes() + digits.x_test.tobytes() + digits.y_test.tobytes()
    assert hashlib.sha256(whole).hexdigest() == DIGITS
    with pytest.raises(ValueError, match="read-only"):
        digits.x_train[0] = 0


def test_splits_are_stratified_disjoint_and_fixed() -> None:
    digits = data.load("digits")
    train, held = digits.split(200, seed=3)
    assert len(held) == 200
    assert np.array_equal(np.sort(np.concatenate([train, held])), np.arange(1437))
    shares = np.bincount(digits.y_train[held], minlength=10) / 200
    assert np.abs(shares - np.bincount(digits.y_train) / 1437).max() < 0.01
    assert np.array_equal(held, digits.split(200, seed=3)[1])
    assert not np.array_equal(held, digits.split(200, seed=4)[1])
    assert len(digits.split(0, seed=3)[1]) == 0
    with pytest.raises(UserError, match="does not fit"):
        digits.split(1437, seed=0)


def test_cifar_comes_from_its_official_place(
    server: tuple[str, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, root, _ = server
    content, records = cifar_archive()
    (root / "c.tar.gz").write_bytes(content)
    remote = _fetch.Remote("c.tar.gz", (address + "missing", address + "c.tar.gz"), sha256(content), len(content))
    monkeypatch.setattr(cifar10, "ARCHIVE", remote)
    loaded = data.load("cifar10")
    assert loaded.x_train.shape == (15, 32, 32, 3)
    assert np.array_equal(loaded.y_test, records[5, :, 0])
    # Record: label, then red, green and blue planes.
    assert loaded.x_test[1, 2, 3, 2] == records[5, 1, 1 + 2 * 1024 + 2 * 32 + 3]
    assert [p.name for p in _fetch.cache("cifar10").iterdir()] == ["c.tar.gz"]


def test_a_broken_download_is_continued(server: tuple[str, Path, list[str]]) -> None:
    address, root, asked = server
    content = os.urandom(5000)
    (root / "broken.bin").write_bytes(content)
    remote = _fetch.Remote("broken.bin", (address + "broken.bin",), sha256(content))
    with pytest.raises(UserError, match="the connection broke after 2500 of 5000 bytes"):
        _fetch.fetch("thing", remote)
    assert _fetch.find("thing", "broken.bin") is None
    assert _fetch.fetch("thing", remote).read_bytes() == content
    assert asked == ["", "bytes=2500-"]
    assert len(list(_fetch.cache("thing").iterdir())) == 1


def test_a_wrong_checksum_leaves_nothing_behind(server: tuple[str, Path, list[str]]) -> None:
    address, root, _ = server
    (root / "file").write_bytes(b"something else")
    with pytest.raises(UserError, match="wrong checksum"):
        _fetch.fetch("thing", _fetch.Remote("file", (address + "file",), sha256(b"expected")))
    assert list(_fetch.cache("thing").iterdir()) == []


def test_a_partial_file_that_is_too_long_is_dropped(server: tuple[str, Path, list[str]]) -> None:
    address, root, _ = server
    (root / "file").write_bytes(b"12345")
    _fetch.cache("thing").mkdir(parents=True)
    (_fetch.cache("thing") / "file.part").write_bytes(b"123456789")
    remote = _fetch.Remote("file", (address + "file",), sha256(b"12345"))
    with pytest.raises(UserError, match="could not be downloaded"):
        _fetch.fetch("thing", remote)
    assert _fetch.fetch("thing", remote).read_bytes() == b"12345"


def test_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    # Port 9 of this machine answers nobody.
    remote = _fetch.Remote("c.tar.gz", ("http://127.0.0.1:9/c.tar.gz",), "md5:0")
    monkeypatch.setattr(cifar10, "ARCHIVE", remote)
    with pytest.raises(UserError, match=r"cifar10 is not on this machine.*CODESIGN_DATA"):
        data.load("cifar10")


def test_local_folders_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first" / "thing", tmp_path / "second" / "thing"
    first.mkdir(parents=True)
    second.mkdir(parents=True)
    (first / "a").write_bytes(b"1")
    (second / "a").write_bytes(b"2")
    (second / "b").write_bytes(b"3")
    monkeypatch.setenv("CODESIGN_DATA", os.pathsep.join([str(first), str(second.parent)]))
    assert _fetch.find("thing", "a") == first / "a"
    assert _fetch.fetch("thing", _fetch.Remote("b", (), "md5:0")) == second / "b"


def npz(folder: Path, **arrays: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "cifar10.npz", **arrays)
    return folder / "cifar10.npz"


def test_cifar_from_an_npz_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODESIGN_DATA", str(tmp_path))
    x = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    y = np.arange(4, dtype=np.uint8)
    path = npz(tmp_path / "cifar10", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    loaded = data.load("cifar10")
    assert loaded.x_train[1, 5, 6, 2] == x[1, 2, 5, 6]
    path.write_bytes(path.read_bytes()[:-500])
    data.load.cache_clear()
    with pytest.raises(UserError, match=r"cifar10\.npz cannot be read"):
        data.load("cifar10")
    npz(tmp_path / "cifar10", x_train=x, y_train=y[:3], x_test=x, y_test=y)
    with pytest.raises(UserError, match="does not hold CIFAR-10 images"):
        data.load("cifar10")


def test_pickled_objects_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODESIGN_DATA", str(tmp_path))
    bad = np.array([{"a": 1}], dtype=object)
    npz(tmp_path / "cifar10", x_train=bad, y_train=bad, x_test=bad, y_test=bad)
    with pytest.raises(UserError, match="cannot be read"):
        data.load("cifar10")


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], lambda c: b"no archive"])
def test_a_damaged_archive_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "c.tar.gz"
    path.write_bytes(damage(cifar_archive()[0]))
    with pytest.raises(UserError, match=r"c\.tar\.gz is not the CIFAR-10 binary archive"):
        cifar10.read_archive(path)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_idx_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODESIGN_DATA", str(tmp_path))
    rng = np.random.default_rng(1)
    images = {kind: rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) for kind, n in (("train", 5), ("t10k", 2))}
    folder = tmp_path / name
    folder.mkdir()
    for kind, x in images.items():
        (folder / f"{kind}-images-idx3-ubyte.gz").write_bytes(idx(x))
        (folder / f"{kind}-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(len(x), dtype=np.uint8)))
    loaded = data.load(name)
    assert np.array_equal(loaded.x_train[..., 0], images["train"])
    assert loaded.y_test.tolist() == [0, 1]
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(np.array([0, 77], np.uint8)))
    data.load.cache_clear()
    with pytest.raises(UserError, match="does not hold"):
        data.load(name)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain text",
        gzip.compress(b"\0\0", mtime=0),
        idx(np.zeros((3, 4), np.uint8))[:-6],
        gzip.compress(struct.pack(">HBB1I", 0, 8, 1, 10) + b"123", mtime=0),
        gzip.compress(struct.pack(">HBB1I", 0, 13, 1, 1) + b"1234", mtime=0),
    ],
)
def test_damaged_idx_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.gz cannot be read"):
        _idx.read(path)


def test_float_codes_are_monotone_and_fine() -> None:
    values = sorted({*range(3000), *(int(1.07**k) for k in range(400)), 2**34, 2**50})
    codes = [unsw_nb15.float_code(v) for v in values]
    assert codes == sorted(codes)
    assert codes[:8] == list(range(8))
    assert codes[-1] == 255
    for a, b, low, high in zip(values, values[1:], codes, codes[1:], strict=False):
        if b < 2**34 and b * 7 >= a * 8 + 8:
            assert high > low


HEADER = [*unsw_nb15.NUMERIC, *unsw_nb15.CATEGORICAL, "id", "attack_cat", "label"]


def flow(**values: str) -> str:
    row = dict.fromkeys(HEADER, "0") | {"proto": "tcp", "service": "-", "state": "FIN"} | values
    return ",".join(row[name] for name in HEADER)


def test_flows_become_integers() -> None:
    text = "\n".join(
        [
            ",".join(HEADER),
            flow(id="1", dur="0.000011", sttl="254", sbytes="496", ct_srv_src="300", label="1", attack_cat="Fuzzers"),
            flow(id="2", proto="icmp", service="dns", state="CON"),
        ]
    )
    features, labels = unsw_nb15.encode(text, Path("flows.csv"))
    assert features.dtype == np.uint8
    assert features.shape == (2, *unsw_nb15.INFO.shape)
    assert labels.tolist() == [1, 0]
    column = {name: index for index, name in enumerate(unsw_nb15.NUMERIC)}
    assert features[0, column["dur"]] == unsw_nb15.float_code(11)
    assert features[0, column["sttl"]] == 254
    assert features[0, column["sbytes"]] == unsw_nb15.float_code(496)
    assert features[0, column["ct_srv_src"]] == 255
    hot = features[:, len(column) :]
    assert (hot.sum(1, dtype=int) == 3 * 255).all()
    # icmp is none of the six protocols with an input of their own.
    assert hot[1, 6] == 255
    assert hot[0, 0] == 255


def test_flows_that_are_no_table() -> None:
    with pytest.raises(UserError, match="has no column 'dur'"):
        unsw_nb15.encode("a,b\n1,2", Path("flows.csv"))
    with pytest.raises(UserError, match="is damaged"):
        unsw_nb15.encode(",".join(HEADER) + "\n" + flow(dur="soon"), Path("flows.csv"))


def test_equal_flows_stay_together() -> None:
    rng = np.random.default_rng(0)
    features = rng.integers(0, 3, (2000, 5), dtype=np.uint8)
    labels = rng.integers(0, 2, 2000)
    test = unsw_nb15.split(features, labels)
    assert 0.2 < test.mean() < 0.35
    assert not {bytes(r) for r in features[test]} & {bytes(r) for r in features[~test]}


def test_unsw_says_where_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no direct download: get UNSW_NB15_training-set\.csv"):
        data.load("unsw_nb15")
    monkeypatch.setenv("CODESIGN_DATA", str(tmp_path))
    (tmp_path / "unsw_nb15").mkdir()
    (tmp_path / "unsw_nb15" / "UNSW_NB15_training-set.csv").write_text("id\n1\n")
    with pytest.raises(UserError, match="wrong checksum"):
        data.load("unsw_nb15")
    (tmp_path / "unsw_nb15" / "UNSW_NB15_training-set.csv.gz").write_bytes(gzip.compress(b"id")[:-4])
    with pytest.raises(UserError, match="cannot be read"):
        data.load("unsw_nb15")


def test_datasets_are_made_from_their_description() -> None:
    x, y = np.zeros((2, 1), np.uint8), np.array([0, 1], np.uint8)
    made = Dataset.of("t", Info((1,), ("a", "b"), 4, True, "none"), x, y, x, y)
    assert made.y_train.dtype == np.int64
    assert (made.shape, made.input_bits, made.input_signed) == ((1,), 4, True)
