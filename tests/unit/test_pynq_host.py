"""The program for the PYNQ-Z2, with a stand-in for its DMA: golden answers in words packed as the RTL has them.

Not run on a board. `test_axi_stream_shell` sends its packing through the simulated hardware.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from codesign import boards, resources
from codesign.backends import rtl
from codesign.backends.rtl import memory
from codesign.backends.rtl.axi_stream import data_bits
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Conv2d
from codesign.verify import vectors

from .test_axi_stream_shell import HOST


def graph() -> Graph:
    weights = np.random.default_rng(2).integers(-4, 4, (3, 3, 3, 4))
    builder = GraphBuilder("image")
    return builder.build(builder.add(Conv2d(weights, padding=1), builder.input((4, 4, 3), IntType(5, signed=True))))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> rtl.RtlProject:
    """Three elements of 5 bits in a word that comes in; the words of 4 elements that go out take 8 bytes."""
    return rtl.emit(graph(), boards.load("pynq-z2"), tmp_path_factory.mktemp("host") / "p", cycles=16)


def recorded(made: Graph) -> dict:
    kind = made.input.type
    real = np.random.default_rng(3).integers(kind.min, kind.max + 1, (6, *made.input.shape))
    return json.loads(vectors.dumps(vectors.record(made, real, 8)))


class Buffer(np.ndarray):
    """What `pynq.allocate` gives, as far as it is used."""

    freed = 0

    def freebuffer(self) -> None:
        Buffer.freed += 1


def allocate(shape: tuple[int, ...], dtype: type) -> Buffer:
    return np.full(shape, 0xA5, dtype=dtype).view(Buffer)


class Dma:
    """AXI DMA with the network behind it. Words are packed by the functions that the simulation of the RTL uses."""

    def __init__(self, project: rtl.RtlProject, wrong: int = 0) -> None:
        self.project, self.wrong = project, wrong
        self.sendchannel, self.recvchannel = Channel(self, "send"), Channel(self, "receive")
        self.orders: list[str] = []

    def answer(self) -> None:
        about, made = self.project.about, self.project.graph
        source, result = about["input"], about["output"]
        frames = self.integers(self.sendchannel.buffer, source, made.input.size)
        found = golden.run(made, frames.reshape(-1, *made.input.shape))
        found.reshape(-1)[: self.wrong] += 1
        width = data_bits(result["bits"] * result["lanes"]) // 8
        words = found.reshape(-1, result["lanes"]).tolist()
        data = b"".join(memory.packed(word, result["bits"]).to_bytes(width, "little") for word in words)
        # The packet is exactly as long as the buffer.
        assert len(data) == self.recvchannel.buffer.nbytes
        self.recvchannel.buffer.reshape(-1)[:] = np.frombuffer(data, dtype=np.uint8)

    @staticmethod
    def integers(buffer: np.ndarray, about: dict, size: int) -> np.ndarray:
        bits, lanes = about["bits"], about["lanes"]
        data, width = buffer.tobytes(), data_bits(bits * lanes) // 8
        words = [int.from_bytes(data[i : i + width], "little") for i in range(0, len(data), width)]
        assert all(word >> bits * lanes == 0 for word in words)
        values = [memory.unpacked(word, lanes, bits, about["signed"]) for word in words]
        return np.array(values).reshape(-1, size)


class Channel:
    def __init__(self, dma: Dma, name: str) -> None:
        self.dma, self.name = dma, name

    def transfer(self, buffer: Buffer) -> None:
        assert isinstance(buffer, Buffer)
        assert buffer.nbytes < 1 << 26
        self.buffer = buffer
        self.dma.orders.append(self.name)
        if self.name == "send":
            assert self.dma.orders[-2:] == ["receive", "send"]
            self.dma.answer()

    def wait(self) -> None:
        self.dma.orders.append(f"wait for {self.name}")


def test_words_are_packed_as_the_rtl_has_them(project: rtl.RtlProject):
    assert project.about["input"] == {"edge": "x0", "shape": [4, 4, 3], "bits": 5, "signed": True, "lanes": 3}
    stream = HOST.Stream(project.about["input"])
    assert (stream.words, stream.word_bytes, stream.frame_bytes) == (16, 2, 32)
    frames = np.random.default_rng(0).integers(-16, 16, (3, 4, 4, 3))
    data = stream.pack(frames)
    words = [memory.packed(word, 5) for word in frames.reshape(-1, 3).tolist()]
    assert data.tobytes() == b"".join(word.to_bytes(2, "little") for word in words)
    assert np.array_equal(stream.unpack(data), frames)


@pytest.mark.parametrize("bits", [1, 3, 8, 13, 40])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("lanes", [1, 2, 6])
def test_what_was_packed_is_unpacked(bits: int, signed: bool, lanes: int):
    kind = IntType(bits, signed)
    stream = HOST.Stream({"shape": [3, 4], "bits": bits, "signed": signed, "lanes": lanes})
    assert 8 * stream.word_bytes == data_bits(bits * lanes)
    frames = np.random.default_rng(bits).integers(kind.min, kind.max + 1, (5, 3, 4))
    frames[0], frames[1] = kind.min, kind.max
    data = stream.pack(frames)
    assert np.array_equal(
        Dma.integers(data, {"bits": bits, "signed": signed, "lanes": lanes}, 12), frames.reshape(5, 12)
    )
    assert np.array_equal(stream.unpack(data), frames)


def test_answers_are_compared_and_timed(project: rtl.RtlProject):
    document = recorded(project.graph)
    Buffer.freed = 0
    dma = Dma(project)
    wrong, rate = HOST.check(dma, allocate, project.about, document, most=20, packets=3)
    assert wrong == 0
    assert rate > 0
    # One packet of the vectors, then three that are timed.
    one = ["receive", "send", "wait for send", "wait for receive"]
    assert dma.orders == one * 4
    assert len(dma.sendchannel.buffer) == 20
    assert Buffer.freed == 4


def test_wrong_answers_are_counted(project: rtl.RtlProject):
    assert HOST.check(Dma(project, wrong=5), allocate, project.about, recorded(project.graph), 8, 1)[0] == 10


def test_a_packet_is_no_longer_than_the_dma_takes(project: rtl.RtlProject, monkeypatch: pytest.MonkeyPatch):
    longest = max(HOST.Stream(project.about[side]).frame_bytes for side in ("input", "output"))
    monkeypatch.setattr(HOST, "LONGEST", 3 * longest + 1)
    dma = Dma(project)
    assert HOST.check(dma, allocate, project.about, recorded(project.graph), 1000, 1)[0] == 0
    assert len(dma.sendchannel.buffer) == 3


def test_files_of_different_networks_are_told(project: rtl.RtlProject):
    with pytest.raises(HOST.MismatchError, match="of different networks"):
        HOST.check(Dma(project), allocate, project.about, recorded(project.graph) | {"graph_sha256": "0"}, 8, 1)


def test_committed_vectors_are_read(tmp_path: Path):
    for name in ("digits_cnn_w3", "unsw_mlp_w2"):
        path = resources.folder("models") / f"{name}.vectors.json"
        frames, outputs = HOST.read_vectors(json.loads(path.read_text()))
        expected = vectors.load(path)
        assert np.array_equal(frames, expected["frames"])
        assert np.array_equal(outputs, expected["outputs"])


@pytest.fixture
def files(tmp_path: Path, project: rtl.RtlProject) -> dict[str, Path]:
    """What the program is given, by argument; the handoff as well."""
    texts = {
        "network.bit": "bits",
        "map.json": (project.folder / "map.json").read_text(),
        "m.vectors.json": json.dumps(recorded(project.graph)),
        "network.hwh": "handoff",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: tmp_path / name for name in texts}


def told(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one sentence with which the program ends, with exit code 2."""
    assert HOST.main([str(path) for path in files.values()][:3]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err.rstrip("\n")


@pytest.mark.parametrize("name", ["network.bit", "network.hwh", "map.json", "m.vectors.json"])
def test_a_missing_file_is_told(files: dict[str, Path], capsys: pytest.CaptureFixture[str], name: str):
    files[name].unlink()
    sentence = told(files, capsys)
    assert str(files[name]) in sentence
    advice = {"network": "put network.bit and network.hwh into one folder.", "map": "give map.json of the project."}
    assert sentence.endswith(advice.get(name.split(".")[0], "give MODEL.vectors.json of the model."))


@pytest.mark.parametrize("name", ["map.json", "m.vectors.json"])
def test_a_file_of_another_kind_is_told(files: dict[str, Path], capsys: pytest.CaptureFixture[str], name: str):
    files[name].write_bytes(b"\xff\xfe")
    assert "is no JSON file; give " in told(files, capsys)
    for text in ("[]", '{"graph_sha256": "0"}'):
        files[name].write_text(text)
        assert "has not the fields graph_sha256, " in told(files, capsys)


def test_without_pynq_that_is_told(files: dict[str, Path], capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pynq", None)
    assert told(files, capsys) == "pynq is not installed here; run this on the board, as root, in the PYNQ image."


@pytest.mark.parametrize(("wrong", "code"), [(0, 0), (3, 1)])
def test_the_program_checks_and_times(files, project, capsys, monkeypatch: pytest.MonkeyPatch, wrong: int, code: int):
    """With a stand-in for pynq and for the network."""
    overlay = SimpleNamespace(
        dma=Dma(project, wrong), frame_error=SimpleNamespace(channel1=SimpleNamespace(read=lambda: 0))
    )
    loaded = []
    pynq = SimpleNamespace(
        Clocks=SimpleNamespace(fclk0_mhz=100.0),
        Overlay=lambda path: loaded.append(path) or overlay,
        allocate=allocate,
    )
    monkeypatch.setitem(sys.modules, "pynq", pynq)
    arguments = [str(path) for path in files.values()][:3]
    assert HOST.main([*arguments, "--frames", "16", "--packets", "2"]) == code
    assert loaded == [str(files["network.bit"])]
    assert f"{2 * wrong} integers differ from the golden ones." in capsys.readouterr().out
    files["map.json"].write_text(json.dumps(project.about | {"graph_sha256": "0"}))
    assert "of different networks" in told(files, capsys)
