"""A journal survives what a kill leaves of it, and belongs to one search."""

import os

import pytest

from codesign.errors import UserError
from codesign.search.journal import Header, Journal, read
from codesign.search.problem import Evaluation
from codesign.search.space import Assignment

HEADER = Header("0123456789abcdef", "random", {"batch": 8}, 3)


def evaluation(index):
    return Evaluation(Assignment({"a": (index, 8)}, {"x": 2}), 0.1 + index / 3, index, {"lut": 1.5}, index % 2 == 0)


def write(path, count):
    with Journal(path, HEADER) as journal:
        for index in range(count):
            journal.add(f"asked {index}", evaluation(index))


def test_what_is_added_is_known_again_to_the_last_bit(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, 3)
    with Journal(path, HEADER) as journal:
        assert journal.known == {f"asked {index}": evaluation(index) for index in range(3)}
    assert read(path) == (HEADER, [evaluation(index) for index in range(3)])


def test_every_torn_end_costs_the_torn_line_only(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, 3)
    whole = path.read_bytes()
    ends = [index for index, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(ends[2] + 1, len(whole)):
        path.write_bytes(whole[:cut])
        with Journal(path, HEADER) as journal:
            assert set(journal.known) == {"asked 0", "asked 1"}
            journal.add("asked 2", evaluation(2))
        assert path.read_bytes() == whole


def test_a_line_of_garbage_and_what_follows_is_cut_off(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    for garbage in (b"\0\0\0\n", b'{"asked":"\xff\xfe"}\n'):
        path.write_bytes(b"".join([*lines[:2], garbage, *lines[2:]]))
        with Journal(path, HEADER) as journal:
            assert set(journal.known) == {"asked 0"}
        assert path.read_bytes() == b"".join(lines[:2])


def test_a_journal_of_another_search_is_left_alone(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, 2)
    before = path.read_bytes()
    for other in (
        Header("f" * 16, "random", {"batch": 8}, 3),
        Header(HEADER.problem, "random", {"batch": 9}, 3),
        Header(HEADER.problem, "random", {"batch": 8}, 4),
    ):
        with pytest.raises(UserError, match=r"belongs to another search; remove it or choose another folder"):
            Journal(path, other)
    assert path.read_bytes() == before
    names = {HEADER.file_name, other.file_name, Header("f" * 16, "random", {}, 3).file_name}
    assert len(names) == 3
    assert HEADER.file_name.startswith("random-3-")


def test_what_cannot_be_opened_is_told(tmp_path):
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*: Is a directory"):
        Journal(tmp_path / "journal.jsonl", HEADER)


def test_a_full_disk_is_told(tmp_path):
    with Journal(tmp_path / "journal.jsonl", HEADER) as journal, open("/dev/full", "r+b", buffering=0) as full:
        own, journal._file = journal._file, full
        with pytest.raises(UserError, match="No space left on device; the same command goes on"):
            journal.add("asked", evaluation(0))
        assert journal.known == {}
        journal._file = own


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n", b"{}\n", b"not json\n", b'{"problem":"x"}\n'])
def test_what_is_no_journal_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is no journal of a search"):
        Journal(path, HEADER)
    assert path.read_bytes() == content


def test_two_processes_do_not_write_one_journal(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path, HEADER), pytest.raises(UserError, match="another search is writing"):
        Journal(path, HEADER)
    write(path, 1)


def test_of_two_that_begin_at_once_one_has_the_journal(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    other = []

    def linking(draft, target):
        monkeypatch.undo()
        other.append(Journal(path, HEADER))
        os.link(draft, target)

    monkeypatch.setattr("codesign.files.os.link", linking)
    with pytest.raises(UserError, match="another search is writing"):
        Journal(path, HEADER)
    (one,) = other
    one.add("asked", evaluation(0))
    one.close()
    assert read(path) == (HEADER, [evaluation(0)])
    assert [each.name for each in tmp_path.iterdir()] == ["journal.jsonl"]


def test_a_journal_begins_where_files_have_one_name_only(tmp_path, monkeypatch):
    def linking(draft, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("codesign.files.os.link", linking)
    write(tmp_path / "journal.jsonl", 2)
    assert len(read(tmp_path / "journal.jsonl")[1]) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["journal.jsonl"]


def test_a_journal_of_a_later_format_is_refused(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, 1)
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2'))
    with pytest.raises(UserError, match=r"was written by another version of codesign"):
        read(path)
    with pytest.raises(UserError, match=r"cannot read .*missing"):
        read(tmp_path / "missing")
