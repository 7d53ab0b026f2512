#!/usr/bin/env python3
"""Sends frames through a network on a PYNQ-Z2, compares its answers with golden ones, and times it.

    python3 host.py network.bit map.json MODEL.vectors.json

`network.bit` lies beside `network.hwh`, both from ``codesign synth MODEL --backend rtl --tool vivado``; `map.json` lies
in the same project; `MODEL.vectors.json` are the committed vectors of the model. Needs what the PYNQ image has, NumPy
and pynq, and nothing of codesign; run it as root, in a terminal of the image's Jupyter. Exit codes: 0 all answers are
equal, 1 one is not or the network saw a broken packet, 2 a file is missing or does not fit, or pynq is not there.

Packing, comparing and the order of transfers are tested against the golden executor and the simulated hardware, with a
stand-in for the DMA. Not yet run on a board.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
import zlib
from pathlib import Path

import numpy as np

LONGEST = (1 << 26) - 1
"""Bytes of a transfer: the DMA is built with a length register of 26 bits."""


class FilesError(Exception):
    """A file that was given is missing, or is not what it should be."""


class MismatchError(FilesError):
    """The files given are of different networks."""


class Stream:
    """Frames as the bytes of a stream: every word in the lowest bits of as many bytes as tdata has.

    Parameters
    ----------
    about : dict
        `input` or `output` of ``map.json``: `shape` of a frame, `bits` and `signed` of an element, `lanes` in a word.
    """

    def __init__(self, about: dict) -> None:
        self.shape = tuple(about["shape"])
        self.bits, self.signed, self.lanes = about["bits"], about["signed"], about["lanes"]
        self.size = int(np.prod(self.shape))
        self.words = self.size // self.lanes
        self.word_bytes = 1
        while 8 * self.word_bytes < self.bits * self.lanes:
            self.word_bytes *= 2
        self.frame_bytes = self.words * self.word_bytes

    def pack(self, frames: np.ndarray) -> np.ndarray:
        """Return integers, shape (frames, *shape), as uint8, shape (frames, bytes).

        Element i of a word takes its bits [i * bits, (i + 1) * bits), in two's complement.
        """
        values = np.asarray(frames, dtype=np.int64).reshape(len(frames), self.words, self.lanes, 1)
        bits = ((values >> np.arange(self.bits)) & 1).astype(np.uint8)
        word = np.zeros((len(frames), self.words, 8 * self.word_bytes), dtype=np.uint8)
        word[:, :, : self.lanes * self.bits] = bits.reshape(len(frames), self.words, -1)
        return np.packbits(word, axis=2, bitorder="little").reshape(len(frames), self.frame_bytes)

    def unpack(self, data: np.ndarray) -> np.ndarray:
        """Return the opposite of `pack`, int64."""
        word = np.asarray(data, dtype=np.uint8).reshape(-1, self.words, self.word_bytes)
        bits = np.unpackbits(word, axis=2, bitorder="little")[:, :, : self.lanes * self.bits]
        weights = np.int64(1) << np.arange(self.bits, dtype=np.int64)
        if self.signed:
            weights[-1] = -weights[-1]
        values = bits.reshape(len(word), self.words, self.lanes, self.bits).astype(np.int64) @ weights
        return values.reshape(len(word), *self.shape)


def read_json(path: str, title: str, keys: tuple[str, ...]) -> dict:
    """Return what a JSON file says.

    Parameters
    ----------
    path : str
    title : str
        Of the file, for people.
    keys : tuple of str
        That it has.

    Raises
    ------
    FilesError
        When it cannot be read, is no JSON, or lacks a key.
    """
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise FilesError(f"{path} cannot be read, {error.strerror}; give {title}.") from None
    except ValueError:
        raise FilesError(f"{path} is no JSON file; give {title}.") from None
    if not isinstance(document, dict) or any(key not in document for key in keys):
        raise FilesError(f"{path} has not the fields {', '.join(keys)}; give {title}.")
    return document


def require_bitstream(path: str) -> None:
    """Accept a bitstream whose hardware handoff lies beside it.

    Raises
    ------
    FilesError
        When either is missing.
    """
    for file in (Path(path), Path(path).with_suffix(".hwh")):
        if not file.is_file():
            raise FilesError(f"there is no file {file}; put network.bit and network.hwh into one folder.")


def read_vectors(document: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames of a ``vectors.json`` and the integers that each gives, shape (frames, outputs)."""
    data = zlib.decompress(base64.b64decode(document["inputs"]["zlib_base64"]))
    kind = np.dtype(document["inputs"]["dtype"]).newbyteorder("<")
    frames = np.frombuffer(data, dtype=kind).reshape(document["shape"]).astype(np.int64)
    return frames, np.array(document["outputs"], dtype=np.int64)


def transfer(dma, entering, leaving) -> None:
    """Send one packet and wait for its answer: as many frames.

    Parameters
    ----------
    dma : pynq.lib.DMA
    entering, leaving : pynq.buffer.PynqBuffer
        Whole frames as the streams pack them.
    """
    # The way back is open before the first word goes in: the network holds little.
    dma.recvchannel.transfer(leaving)
    dma.sendchannel.transfer(entering)
    dma.sendchannel.wait()
    dma.recvchannel.wait()


def run(dma, allocate, about: dict, frames: np.ndarray, packets: int) -> tuple[np.ndarray, float]:
    """Send the same packet of frames several times.

    Parameters
    ----------
    dma : pynq.lib.DMA
    allocate : callable
        `pynq.allocate`.
    about : dict
        ``map.json``.
    frames : ndarray of int, shape (frames, *input shape)
        Sent as one packet.
    packets : int
        How often it is sent.

    Returns
    -------
    ndarray of int64, shape (frames, *output shape)
        The last answer.
    float
        Seconds of all transfers: from the first order to the DMA until the last answer lies in memory. Packing,
        unpacking and allocating are outside; the orders that Python gives the DMA, one pair a packet, are inside.
    """
    source, result = Stream(about["input"]), Stream(about["output"])
    entering = allocate(shape=(len(frames), source.frame_bytes), dtype=np.uint8)
    leaving = allocate(shape=(len(frames), result.frame_bytes), dtype=np.uint8)
    try:
        entering[:] = source.pack(frames)
        leaving[:] = 0
        begin = time.perf_counter()
        for _ in range(packets):
            transfer(dma, entering, leaving)
        seconds = time.perf_counter() - begin
        return result.unpack(np.array(leaving)), seconds
    finally:
        entering.freebuffer()
        leaving.freebuffer()


def check(dma, allocate, about: dict, vectors: dict, most: int, packets: int) -> tuple[int, float]:
    """Send the vectors, compare the answers, and time packets of `most` frames made of them.

    Returns
    -------
    int
        Differing integers.
    float
        Frames per second.

    Raises
    ------
    MismatchError
        When ``map.json`` and the vectors are of different networks.
    """
    if about["graph_sha256"] != vectors["graph_sha256"]:
        raise MismatchError("map.json and the vectors are of different networks; take both from the same model.")
    frames, expected = read_vectors(vectors)
    answers, _ = run(dma, allocate, about, frames, 1)
    wrong = int((answers.reshape(len(frames), -1) != expected).sum())
    longest = max(Stream(about[side]).frame_bytes for side in ("input", "output"))
    count = max(1, min(most, LONGEST // longest))
    order = np.arange(count) % len(frames)
    answers, seconds = run(dma, allocate, about, frames[order], packets)
    wrong += int((answers.reshape(count, -1) != expected[order]).sum())
    return wrong, count * packets / seconds


def main(arguments: list[str] | None = None) -> int:
    """Run on the board, with the arguments of the command line unless others are given."""
    parser = argparse.ArgumentParser(description="Check and time a network on a PYNQ-Z2.")
    parser.add_argument("bitstream", help="network.bit, beside network.hwh")
    parser.add_argument("map", help="map.json of the project")
    parser.add_argument("vectors", help="MODEL.vectors.json")
    parser.add_argument("--frames", type=int, default=1000, help="frames in a packet that is timed (default: 1000)")
    parser.add_argument("--packets", type=int, default=10, help="packets that are timed (default: 10)")
    given = parser.parse_args(arguments)
    try:
        return measure(given)
    except FilesError as error:
        print(error, file=sys.stderr)
        return 2


def measure(given: argparse.Namespace) -> int:
    """Load the bitstream, check and time it, and return the exit code.

    Raises
    ------
    FilesError
        When a file is missing or does not fit, or pynq is missing.
    """
    require_bitstream(given.bitstream)
    about = read_json(given.map, "map.json of the project", ("graph_sha256", "cycles_per_frame", "input", "output"))
    vectors = read_json(
        given.vectors, "MODEL.vectors.json of the model", ("graph_sha256", "inputs", "shape", "outputs")
    )
    try:
        from pynq import Clocks, Overlay, allocate
    except ImportError:
        raise FilesError("pynq is not installed here; run this on the board, as root, in the PYNQ image.") from None

    # Loading resets the network: no half frame of an earlier run is left in it.
    overlay = Overlay(given.bitstream)
    wrong, rate = check(overlay.dma, allocate, about, vectors, given.frames, given.packets)
    if overlay.frame_error.channel1.read() & 1:
        print("The network saw a packet that ended within a frame; load the bitstream again.", file=sys.stderr)
        return 1
    clock = Clocks.fclk0_mhz
    limit = 1e6 * clock / about["cycles_per_frame"]
    print(f"{wrong} integers differ from the golden ones.")
    print(f"{rate:,.1f} frames per second in packets of up to {given.frames}: DMA, network and the calls of Python;")
    print(f"packing and unpacking are not in it. At {clock:g} MHz the network alone would reach {limit:,.1f}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
