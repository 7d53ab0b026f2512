"""UNSW-NB15: flows of a network, normal or attack, as integers that a host computes with shifts alone.

The file is `UNSW_NB15_training-set.csv`, 82,332 flows (37,000 normal, 45,332 attacks). The authors'
page describes a training set of 175,341 and a test set of 82,332 flows; in the published files the
two names are exchanged, so this is the smaller one. We split it ourselves: 70 % for training and
30 % for testing, stratified by label, with a fixed seed. Flows that are equal in every feature lie on
the same side, so that no test flow was seen in training.

`id` and `attack_cat`, which would give the label away, are left out. The 39 numeric features become
8-bit codes and the three categorical ones one-hot values, 60 inputs in all:

- a counter that is small by nature is taken as it is, up to 255;
- any other quantity is first an integer in the unit of the table `NUMERIC` (microseconds, bytes, ...)
  and then coded like a small floating point number with three bits of mantissa: v < 8 is v, otherwise
  8 * (bits(v) - 3) + the three bits after the leading one. The code is monotone, needs no data to be
  fitted on and distinguishes steps of at most an eighth.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from codesign.data import _fetch
from codesign.data._types import Dataset, Info
from codesign.errors import UserError

FILE = "UNSW_NB15_training-set.csv"
SHA256 = "734fe6642edf758f7c94d7d9149426b49d202fe8e7bf0bef47392489c3c0a559"
PAGE = "https://research.unsw.edu.au/projects/unsw-nb15-dataset"
INFO = Info(
    shape=(60,),
    classes=("normal", "attack"),
    input_bits=8,
    input_signed=False,
    citation="N. Moustafa and J. Slay, UNSW-NB15: a data set for network intrusion detection, 2015",
)
TEST_SHARE = 0.3
SEED = 2026

# Units per value of the column (a second is a million microseconds); 0 marks a small counter.
NUMERIC = {
    "dur": 1_000_000,
    "spkts": 1,
    "dpkts": 1,
    "sbytes": 1,
    "dbytes": 1,
    "rate": 1_000,
    "sttl": 0,
    "dttl": 0,
    "sload": 1,
    "dload": 1,
    "sloss": 1,
    "dloss": 1,
    "sinpkt": 1_000,
    "dinpkt": 1_000,
    "sjit": 1_000,
    "djit": 1_000,
    "swin": 0,
    "stcpb": 1,
    "dtcpb": 1,
    "dwin": 0,
    "tcprtt": 1_000_000,
    "synack": 1_000_000,
    "ackdat": 1_000_000,
    "smean": 1,
    "dmean": 1,
    "trans_depth": 0,
    "response_body_len": 1,
    "ct_srv_src": 0,
    "ct_state_ttl": 0,
    "ct_dst_ltm": 0,
    "ct_src_dport_ltm": 0,
    "ct_dst_sport_ltm": 0,
    "ct_dst_src_ltm": 0,
    "is_ftp_login": 0,
    "ct_ftp_cmd": 0,
    "ct_flw_http_mthd": 0,
    "ct_src_ltm": 0,
    "ct_srv_dst": 0,
    "is_sm_ips_ports": 0,
}
# Every other value of the column falls to a last input.
CATEGORICAL = {
    "proto": ("tcp", "udp", "unas", "arp", "ospf", "sctp"),
    "service": ("-", "dns", "http", "smtp", "ftp", "ftp-data", "pop3", "ssh"),
    "state": ("FIN", "INT", "CON", "REQ"),
}
HOT = 255


def load() -> Dataset:
    """Return the flows, uint8 rows (N, 60), label 0 for normal and 1 for attack."""
    path = _fetch.find("unsw_nb15", FILE + ".gz") or _fetch.find("unsw_nb15", FILE)
    if path is None:
        raise UserError(
            f"the data set unsw_nb15 is not on this machine and has no direct download: get {FILE} "
            f"from {PAGE} and put it into {_fetch.cache('unsw_nb15')} or a folder named in CODESIGN_DATA."
        )
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); replace it with a whole copy.") from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise UserError(f"{path} is not the published {FILE} (wrong checksum); get it from {PAGE}.")
    features, labels = encode(content.decode("utf-8-sig"), path)
    test = split(features, labels)
    return Dataset.of("unsw_nb15", INFO, features[~test], labels[~test], features[test], labels[test])


def encode(text: str, source: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the features (N, 60) uint8 and the labels (N,) int64 of a CSV table.

    Raises
    ------
    UserError
        When a column is missing or holds something else than a number.
    """
    table = list(csv.reader(io.StringIO(text)))
    columns = {name: position for position, name in enumerate(table[0])} if table else {}
    for name in (*NUMERIC, *CATEGORICAL, "label"):
        if name not in columns:
            raise UserError(f"{source} has no column '{name}'; get the published file from {PAGE}.")
    rows = table[1:]
    parts: list[np.ndarray] = []
    try:
        for name, unit in NUMERIC.items():
            values = [row[columns[name]] for row in rows]
            parts.append(np.array([_code(value, unit) for value in values], np.uint8)[:, None])
        for name, known in CATEGORICAL.items():
            place = {value: index for index, value in enumerate(known)}
            index = np.array([place.get(row[columns[name]], len(known)) for row in rows], np.int64)
            parts.append((np.eye(len(known) + 1, dtype=np.uint8) * HOT)[index])
        labels = np.array([int(row[columns["label"]]) for row in rows], np.int64)
    except (IndexError, ValueError, InvalidOperation) as error:
        raise UserError(f"{source} is damaged ({error}); get the published file from {PAGE}.") from None
    return np.concatenate(parts, axis=1), labels


def _code(text: str, unit: int) -> int:
    if unit == 0:
        return min(int(text), 255)
    # Decimal arithmetic, so that the code does not depend on the rounding of a float.
    return float_code(int(Decimal(text) * unit))


def float_code(value: int) -> int:
    """Return the 8-bit code of a non-negative integer: exponent and three bits of mantissa.

    Parameters
    ----------
    value : int
        0 or more; from 2^34 on the code is 255.
    """
    if value < 8:
        return value
    exponent = value.bit_length() - 3
    return min(8 * exponent + ((value >> (exponent - 1)) & 7), 255)


def split(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which rows (N,) bool are for testing; equal rows lie on the same side."""
    rng = np.random.default_rng(SEED)
    _, group = np.unique(features, axis=0, return_inverse=True)
    group = group.reshape(-1)
    sizes = np.bincount(group)
    # A row with both labels counts for the first one.
    first = np.zeros(len(sizes), np.int64)
    first[group[::-1]] = labels[::-1]
    chosen = np.zeros(len(sizes), dtype=bool)
    for label in (0, 1):
        members = rng.permutation(np.flatnonzero(first == label))
        filled = np.cumsum(sizes[members])
        chosen[members[filled <= TEST_SHARE * filled[-1]]] = True
    return chosen[group]
