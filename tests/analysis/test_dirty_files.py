"""Files as people really have them: each is read with a stated decision, or refused in one clear sentence."""

# ruff: noqa: E501 (a case reads best on one line)
from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planloom import DataError, ToolContext
from planloom.analysis import compute_stats, find_anomalies, load_data

Load = Callable[..., dict[str, Any]]

LONG = "\n".join(f"{n},{n * 3}" for n in range(1500))

# name: (content, options, rows, {column: type}, pieces that the decisions must hold)
READ: dict[str, tuple[bytes | str, dict[str, Any], int, dict[str, str], list[str]]] = {
    "plain": ("a,b\n1,x\n2,y\n", {}, 2, {"a": "integer", "b": "text"}, ["Separator: comma", "Header: the first line"]),
    "no header": ("1,2.5\n3,4.5\n", {}, 2, {"column_1": "integer", "column_2": "number"}, ["Header: none"]),
    "no header with text": ("x,1\ny,2\nx,3\n", {}, 3, {"column_1": "text", "column_2": "integer"}, ["Header: none"]),
    "a header of years": ("country,1952,1957,1962\nA,1.5,2,3\nB,4,5,6\n", {}, 2,
        {"country": "text", "1952": "number", "1957": "integer", "1962": "integer"}, ["Header: the first line"]),
    "text only": ("name,town\nAnn,Rome\nBob,Oslo\n", {}, 2, {"name": "text", "town": "text"}, ["assumed"]),
    "header refused by hand": ("a,b\n1,2\n", {"header": False}, 2, {"column_1": "text", "column_2": "text"}, ["none, as asked"]),
    "UTF-8 byte order mark": ("\ufeffa,b\n1,2\n".encode(), {}, 1, {"a": "integer", "b": "integer"}, ["mark was removed"]),
    "UTF-16": ("a,b\n1,ü\n".encode("utf-16"), {}, 1, {"a": "integer", "b": "text"}, ["UTF-16-LE, by its byte order mark"]),
    "UTF-16 without a mark, named": ("a,b\n1,2\n".encode("utf-16-le"), {"encoding": "utf-16"}, 1,
        {"a": "integer", "b": "integer"}, ["UTF-16-LE, as asked"]),
    "Windows-1252": ("a;b\n1;caf\u00e9 \u20ac\n".encode("cp1252"), {}, 1, {"a": "integer", "b": "text"}, ["Windows-1252, assumed"]),
    "Latin-1": ("a;b\n1;\x81\xe9\n".encode("latin-1"), {}, 1, {"a": "integer", "b": "text"}, ["Latin-1, assumed"]),
    "semicolon": ("a;b\n1;2\n", {}, 1, {"a": "integer", "b": "integer"}, ["Separator: semicolon"]),
    "tab": ("a\tb\n1\t2\n", {}, 1, {"a": "integer", "b": "integer"}, ["Separator: tab"]),
    "pipe": ("a|b\n1|2\n", {}, 1, {"a": "integer", "b": "integer"}, ["Separator: pipe"]),
    "separator by hand": ("a:b\n1:2\n", {"separator": ":"}, 1, {"a": "integer", "b": "integer"}, ["':', as asked"]),
    "decimal comma": ("a;b\n1,5;2,25\n3,5;1.234,5\n", {}, 2, {"a": "number", "b": "number"}, ["semicolon", "decimal comma"]),
    "thousands": ('a,b\n"1,234",$5.50\n"12,000",$1\n', {}, 2, {"a": "number", "b": "number"}, ["1,234.5 is written"]),
    "thousands after the sample": (f"a;b\n{LONG.replace(',', ';')}\n1,234;1\n", {}, 1501, {"a": "number", "b": "integer"},
        ["1,234.5 is written"]),
    "percent": ("a,b\n5%,x\n12.5 %,y\n", {}, 2, {"a": "number", "b": "text"}, ["left out"]),
    "blanks in the header": (" a ,  b\n1,2\n", {}, 1, {"a": "integer", "b": "integer"}, ["2 column names removed: `a`, `b`"]),
    "blanks around values": ("a,b\n 1 , x \n 2 , y \n", {}, 2, {"a": "integer", "b": "text"}, ["Blanks around values"]),
    "rows too short": ("a,b,c\n1,2,3\n4,5\n6\n", {}, 3, {"a": "integer", "b": "integer", "c": "integer"},
        ["2 rows with too few cells"]),
    "rows too long": ("a,b\n1,2\n3,4,5\n6,7\n", {}, 2, {"a": "integer", "b": "integer"},
        ["1 row with more than 2 cells left out", "the first was row 2"]),
    "trailing separators": ("a,b,\n1,2,\n3,4,\n", {}, 2, {"a": "integer", "b": "integer"}, ["neither a name nor a value"]),
    "row names of R": ("x,y\na,1,2\nb,3,4\n", {}, 2, {"row_name": "text", "x": "integer", "y": "integer"}, ["`row_name`"]),
    "repeated names": ("a,A,a\n1,2,3\n", {}, 1, {"a": "integer", "A_2": "integer", "a_3": "integer"}, ["made unique: `A_2`, `a_3`"]),
    "empty names": ("a,,c\n1,2,3\n", {}, 1, {"a": "integer", "column_2": "integer", "c": "integer"}, ["1 column without a name"]),
    "titles and a blank above": ("One\nTwo\n\na,b\n1,2\n3,4\n", {}, 2, {"a": "integer", "b": "integer"},
        ["2 lines above the header passed over.\nHeader: the first line below those."]),
    "a title above": ("Sales of 2024\n\na,b\n1,2\n3,4\n", {}, 2, {"a": "integer", "b": "integer"}, ["1 line above the header"]),
    "header only": ("a,b\n", {}, 0, {"a": "text", "b": "text"}, ["a header and no rows"]),
    "one column": ("a\n1\n2\n", {}, 2, {"a": "integer"}, ["One column"]),
    "one column of prose": ("note\nhello, world\nbye\nyes, no, and so on\n", {}, 3, {"note": "text"}, ["One column"]),
    "one row": ("a,b\n1,2\n", {}, 1, {"a": "integer", "b": "integer"}, []),
    "no line end": ("a,b\n1,2", {}, 1, {"a": "integer", "b": "integer"}, []),
    "carriage returns": ("a,b\r1,2\r3,4\r", {}, 2, {"a": "integer", "b": "integer"}, []),
    "mixed line ends": ("a,b\r\n1,2\n3,4\r\n", {}, 2, {"a": "integer", "b": "integer"}, []),
    "line break in quotes": ('a,b\n1,"x\ny"\n2,z\n', {}, 2, {"a": "integer", "b": "text"}, []),
    "inch marks": ('a,b\n1,5" pipe\n2,6" pipe\n3,7" pipe\n', {}, 3, {"a": "integer", "b": "text"}, []),
    "quotes and words": ('a,b\n1,"say ""hi"", now"\n', {}, 1, {"a": "integer", "b": "text"}, []),
    "a column without values": ("a,b\n1,\n2,\n", {}, 2, {"a": "integer", "b": "text"}, []),
    "words for no value": ("a,b\n1,x\n-,y\nNA,z\n4,w\n", {}, 4, {"a": "integer", "b": "text"}, ["2 cells with a word for no value"]),
    "infinity and NaN": ("a\n1.5\ninf\nnan\n-inf\n2.5\n", {}, 5, {"a": "number"}, ["2 cells with an infinite number", "1 cell with a word"]),
    "NA in text": ("a,b\nNA,1\nlong,2\nwords,3\n", {}, 3, {"a": "text", "b": "integer"}, ["1 cell with a word"]),
    "Namibia": ("c,b\nNA,1\nDE,2\nFR,3\n", {}, 3, {"c": "text", "b": "integer"}, []),
    "huge integers": ("a,b\n12345678901234567890123,1\n2,2\n", {}, 2, {"a": "integer", "b": "integer"}, ["kept exactly"]),
    "leading zeros": ("zip,b\n01234,1\n99999,2\n", {}, 2, {"zip": "text", "b": "integer"}, ["leading zeros"]),
    "booleans": ("a\ntrue\nFalse\n", {}, 2, {"a": "boolean"}, []),
    "dates": ("a,b,c\n2024-01-05,13/02/2024,5 Jan 2024\n2024-02-05,14/02/2024,6 Feb 2024\n", {}, 2,
        {"a": "date", "b": "date", "c": "date"}, ["`b`: read as day/month/year"]),
    "unsure dates": ("a\n01/02/2024\n03/04/2024\n", {}, 2, {"a": "date"}, ["other way round in `a`"]),
    "times": ("a,b\n09:30,2024-01-01 09:30:00\n10:45,2024-01-02T10:45:00Z\n", {}, 2, {"a": "time", "b": "date"}, []),
    "a few wrong cells": ("a\n" + "\n".join(map(str, range(60))) + "\nundefined\n", {}, 61, {"a": "integer"},
        ["1 cell does not fit and is read as missing, such as `undefined`"]),
    "gzip": (gzip.compress(b"a,b\n1,2\n"), {}, 1, {"a": "integer", "b": "integer"}, ["Unpacked with gzip"]),
    "names that are SQL": ('"a""; DROP TABLE x; --",select\n1,2\n', {}, 1,
        {'a"; DROP TABLE x; --': "integer", "select": "integer"}, []),
    "names of raw columns": ("c1,c0,file_row_number,cell\n1,x,2,3\n", {}, 1,
        {"c1": "integer", "c0": "text", "file_row_number": "integer", "cell": "integer"}, []),
}  # fmt: skip


# name: (content, pieces that the message must hold)
REFUSED: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["is empty"]),
    "blank lines": (b"\n\n\n", ["no cell"]),
    "only quotes": (b'""\n""\n', ["a header line of 1 empty name and no value"]),
    "only separators": (b",,\n,,\n", ["empty names and no value"]),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", ["a PNG picture", "CSV"]),
    "a damaged archive": (b"PK\x03\x04\x14\x00[Content_Types].xml", ["cannot be read", "not a zip file"]),
    "a web page": (b"<!DOCTYPE html><html></html>", ["a web page"]),
    "JSON without objects": (b"[]", ["JSON with no object"]),
    "binary": (bytes(range(256)) * 20, ["binary data"]),
    "NUL bytes": (b"a,b\n1,2\n3,\x004\n" + b"5,6\n" * 100, ["NUL byte in line 3"]),
    "UTF-16 without a mark": ("a,b\n1,2\n".encode("utf-16-le"), ["looks like UTF-16", "encoding="]),
    "an open quote": (b'a,b\n1,x\n2,"y\n3,z\n4,w\n', ["quote in line 3", "never closed"]),
    "a broken gzip": (gzip.compress(b"a,b\n1,2\n" * 50)[:-12], ["cannot be read"]),
    "half a Parquet file": (b"PAR1" + bytes(300), ["begins like Parquet"]),
    "a damaged Parquet file": (b"PAR1" + bytes(300) + b"PAR1", ["damaged"]),
}


@pytest.mark.parametrize("name", READ)
def test_read(name: str, load: Load, context: ToolContext) -> None:
    """A file that can be a table is one: rows and types as expected, decisions said, figures without NaN."""
    content, options, rows, columns, pieces = READ[name]
    table = load(content, **options)
    assert (rows, columns) == (table["rows"], {column["name"]: column["type"] for column in table["columns"]})
    said = "\n".join(table["decisions"])
    assert [] == [piece for piece in pieces if piece not in said], said
    assert list(columns) == list(compute_stats(table, context)["columns"])
    assert 0 <= find_anomalies(table, context)["total"]
    assert [f"{table['artifact']}.parquet"] == [path.name for path in context.workdir.iterdir()]


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, load: Load, context: ToolContext) -> None:
    """A file that cannot be a table is refused with what it is and how to mend it, and nothing is left behind."""
    content, pieces = REFUSED[name]
    with pytest.raises(DataError) as caught:
        load(content)
    message = str(caught.value)
    assert [] == [piece for piece in pieces if piece not in message], message
    assert "table.csv" in message
    assert [] == list(context.workdir.iterdir())


# name of a file that nobody should have: what a name may do must not change what is read
AWKWARD_NAMES = [
    "my sales.csv",
    "it's.csv",
    'say "hi".csv',
    "a*.csv",
    "a?.csv",
    "a[1].csv",
    "{a,b}.csv",
    "x=1.csv",
    "-.csv",
    "ü.csv",
]


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_awkward_name(name: str, load: Load, tmp_path: Path) -> None:
    """A file name is never a pattern: of files that a pattern would match, exactly the named one is read."""
    for other in ("ab.csv", "a1.csv", "a2.csv"):
        (tmp_path / other).write_text("n\n1\n2\n3\n")
    table = load("n\n7\n", name=name)
    assert (1, name) == (table["rows"], table["name"])


def test_run_folder_with_pattern_characters(tmp_path: Path) -> None:
    """A run folder whose name looks like a pattern is used literally."""
    (tmp_path / "t.csv").write_text("n\n1\n2\n")
    context = ToolContext(workdir=tmp_path / "run[1]*")
    table = load_data(str(tmp_path / "t.csv"), context)
    assert 1.5 == compute_stats(table, context)["numeric"]["n"]["mean"]


def test_missing_file(tmp_path: Path, context: ToolContext) -> None:
    """A missing file is answered with the nearest name in its folder."""
    (tmp_path / "sales.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"does not exist\nhint: .*`sales.csv`"):
        load_data(str(tmp_path / "slaes.csv"), context)


def test_folder(tmp_path: Path, context: ToolContext) -> None:
    """A folder is answered with a table in it."""
    (tmp_path / "sales.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"is a folder, not a file\nhint: .*`sales.csv`"):
        load_data(str(tmp_path), context)


def test_address(context: ToolContext) -> None:
    """An address is not fetched."""
    with pytest.raises(DataError, match="is an address, not a file"):
        load_data("https://example.com/sales.csv", context)


def test_link(tmp_path: Path, context: ToolContext) -> None:
    """A link within its folder is followed, and that is said; one that leads out of it is refused."""
    (tmp_path / "real.csv").write_text("a\n1\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert "followed to `real.csv`" in load_data(str(tmp_path / "link.csv"), context)["decisions"][0]
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "link.csv").symlink_to(tmp_path / "real.csv")
    with pytest.raises(DataError, match=r"a link that leads out of its folder, to .*real.csv`\nhint: "):
        load_data(str(tmp_path / "inner" / "link.csv"), context)


def test_same_content_same_artifact(load: Load) -> None:
    """The artifact names the content, not the file."""
    assert load("a,b\n1,2\n", name="one.csv")["artifact"] == load("a;b\n1;2\n", name="two.csv")["artifact"]


@pytest.mark.parametrize(
    "options", [{"separator": "::"}, {"encoding": "klingon"}, {"encoding": "rot13"}, {"encoding": "ascii"}]
)
def test_bad_override(options: dict[str, Any], load: Load) -> None:
    """An override that makes no sense, or does not fit the bytes, is refused with a hint."""
    with pytest.raises(DataError, match="hint: "):
        load("ä,b\n1,2\n", **options)
