"""Inputs to predict."""

import pytest

from llmtl.data import read_inputs
from llmtl.errors import DataError, MissingFileError


def test_lines_and_cells_in_order(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo, and more\n")
    (tmp_path / "a.csv").write_text('id,message\n1,one\n2,"two, and more"\n')
    assert read_inputs(tmp_path / "a.txt", "unused") == ["one", "two, and more"]
    assert read_inputs(tmp_path / "a.csv", "message") == ["one", "two, and more"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_lines_are_the_same_in_every_encoding(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("café\r\ncafé\r\n".encode(encoding))
    assert read_inputs(tmp_path / "a.txt", "unused") == ["café", "café"]


def test_what_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "a.csv").write_text("id,message\n1,one\n2,\n")
    (tmp_path / "b.txt").write_bytes("плитки жили\n".encode("cp1251"))
    with pytest.raises(DataError, match="line 3"):
        read_inputs(tmp_path / "a.csv", "message")
    with pytest.raises(DataError, match="no column 'text'"):
        read_inputs(tmp_path / "a.csv", "text")
    with pytest.raises(DataError, match="UTF-8"):
        read_inputs(tmp_path / "b.txt", "x")
    with pytest.raises(MissingFileError):
        read_inputs(tmp_path / "c.txt", "x")
