"""JSON, workbooks, gzip and zip: each file with what it gets, or the reason for which it is refused."""

# ruff: noqa: E501 (a case reads best on one line)
from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from planloom import DataError, ToolContext
from planloom.analysis import load_data
from planloom.analysis.database import open_database

pytestmark = pytest.mark.slow  # a process or many queries for each of its cases

Load = Callable[..., dict[str, Any]]
Rows = list[list[Any]]


def zipped(**files: bytes | str) -> bytes:
    """An archive; two underscores stand for a slash, one for a dot."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            is_path = "/" in name or "." in name
            archive.writestr(name if is_path else name.replace("__", "/").replace("_", "."), content)
    return target.getvalue()


def workbook(**sheets: Rows | str) -> bytes:
    """An .xlsx file as Excel lays it out: numbers as numbers, texts inline; a text in place of rows is raw XML."""

    def cell(value: Any) -> str:
        if value is None:
            return "<c/>"
        if isinstance(value, bool):
            return f'<c t="b"><v>{int(value)}</v></c>'
        if isinstance(value, int | float):
            return f"<c><v>{value}</v></c>"
        if value.startswith("=>"):  # a formula, and the value that was kept for it
            return f"<c><f>{escape(value[2:])}</f><v>42</v></c>"
        if value.startswith("@"):  # a date, in the format that the styles below call number 1
            return f'<c s="1"><v>{value[1:]}</v></c>'
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'

    main, relations = (
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    )
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="r1" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>{listed}</sheets></workbook>'
        )
        related = "".join(
            f'<Relationship Id="r{n}" Type="{relations}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{related}</Relationships>',
        )
        archive.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
        )
        for n, rows in enumerate(sheets.values(), 1):
            body = rows if isinstance(rows, str) else "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/sheet{n}.xml", f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>'
            )
    return target.getvalue()


SALES: Rows = [
    ["id", "town", "amount", "paid", "day"],
    [1, "Rome", 2.5, True, "@45292"],
    [2, "Oslo", None, False, "@45293.5"],
]
ODS = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet><table:table table:name="S">'
    '<table:table-row><table:table-cell office:value-type="string"><text:p>a</text:p></table:table-cell></table:table-row>'
    '<table:table-row><table:table-cell office:value-type="float" office:value="7"><text:p>7</text:p></table:table-cell></table:table-row>'
    "</table:table></office:spreadsheet></office:body></office:document-content>"
)

MANIFEST = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'

# name of the file: (content, options, {column: (type, values)}, pieces that the decisions must hold)
READ: dict[str, tuple[bytes | str, dict[str, Any], dict[str, tuple[str, list[Any]]], list[str]]] = {
    "lines.jsonl": ('{"a":1,"b":"x"}\n{"a":2.5,"c":true}\n', {}, {"a": ("number", [1, 2.5]), "b": ("text", ["x", None]), "c": ("boolean", [None, True])}, ["JSON with 2 objects"]),
    "array.json": ('[{"a":1},\n {"a":2}]', {}, {"a": ("integer", [1, 2])}, ["JSON with 2 objects"]),
    "pretty.json": ('{\n "a": 1\n}\n{\n "a": 2\n}', {}, {"a": ("integer", [1, 2])}, []),
    "one object.json": ('{"a":1,"b":null}', {}, {"a": ("integer", [1]), "b": ("text", [None])}, ["1 object"]),
    "wrapped.json": ('{"total":2,"items":[{"a":1,"b":{"c":3}},{"a":2}]}', {}, {"a": ("integer", [1, 2]), "b.c": ("integer", [3, None])}, ["the list `items`"]),
    "nested.jsonl": ('{"a":{"b":1,"c":{"d":"x"}},"l":[1,2]}\n{"a":null}\n', {}, {"a.b": ("integer", [1, None]), "a.c.d": ("text", ["x", None]), "l": ("other", [[1, 2], None])}, ["`a.b`, `a.c.d`"]),
    "mixed kinds.jsonl": ('{"a":1}\n{"a":"x"}\n{"a":{"b":2}}\n', {}, {"a": ("text", ["1", "x", '{"b":2}'])}, ["different kinds read as text in `a`"]),
    "keys by case.jsonl": ('{"a":1,"A":2}\n', {}, {"a": ("integer", [1]), "A_1": ("integer", [2])}, []),
    "null in an object.jsonl": ('{"a":{"b":null}}\n{"a":{"b":null}}\n', {}, {"a.b": ("text", [None, None])}, []),
    "huge number.jsonl": ('{"a":170141183460469231731687303715884}\n', {}, {"a": ("number", [1.7014118346046923e32])}, []),
    "dates.jsonl": ('{"d":"2024-01-05","t":"2024-01-05 10:30:00"}\n', {}, {"d": ("date", ["2024-01-05"]), "t": ("date", ["2024-01-05 10:30:00"])}, []),
    "digits as text.jsonl": ('{"zip":"01234"}\n{"zip":"99999"}\n', {}, {"zip": ("text", ["01234", "99999"])}, []),
    "formulas.jsonl": ('{"a":"=cmd|\' /C calc\'!A0"}\n', {}, {"a": ("text", ["=cmd|' /C calc'!A0"])}, []),
    "odd keys.jsonl": ('{"a\\"; DROP TABLE x; --":1," b ":2}\n', {}, {'a"; DROP TABLE x; --': ("integer", [1]), "b": ("integer", [2])}, []),
    "BOM.json": ("\ufeff" + '[{"a":"ü"}]', {}, {"a": ("text", ["ü"])}, ["mark was removed"]),
    "UTF-16.json": ('[{"a":"ü"}]'.encode("utf-16"), {}, {"a": ("text", ["ü"])}, ["UTF-16"]),
    "lines.jsonl.gz": (gzip.compress(b'{"a":1}\n{"a":2}\n'), {}, {"a": ("integer", [1, 2])}, ["Unpacked with gzip", "JSON"]),
    "brackets.csv": ("[id],{x}\n1,2\n", {}, {"[id]": ("integer", [1]), "{x}": ("integer", [2])}, ["Separator: comma"]),
    "formulas.csv": ('a,b\n=1+1,"@SUM(A1:A9)"\n+cmd,-x\n', {}, {"a": ("text", ["=1+1", "+cmd"]), "b": ("text", ["@SUM(A1:A9)", "-x"])}, []),
    "one file.zip": (zipped(inner_csv="a,b\n1,2\n"), {}, {"a": ("integer", [1]), "b": ("integer", [2])}, ["Unpacked `inner.csv` from a zip"]),
    "made on a Mac.zip": (zipped(**{"sub/t.csv": "a\n1\n", "__MACOSX/sub/t.csv": "x", "sub/.DS_Store": "x"}), {}, {"a": ("integer", [1])}, []),
    "Windows-1252.zip": (zipped(t_csv="a\ncaf\u00e9\n".encode("cp1252")), {}, {"a": ("text", ["caf\u00e9"])}, ["Windows-1252"]),
    "JSON.zip": (zipped(t_json='[{"a":1}]'), {}, {"a": ("integer", [1])}, ["JSON"]),
    "gzip.zip": (zipped(t_csv_gz=gzip.compress(b"a\n1\n")), {}, {"a": ("integer", [1])}, ["zip", "gzip"]),
    "workbook.zip": (zipped(t_xlsx=workbook(S=[["a"], [1]])), {}, {"a": ("integer", [1])}, ["Sheet: `S`"]),
    "path in the name.zip": (zipped(______etc__passwd="a\n1\n"), {}, {"a": ("integer", [1])}, []),
    "sales.xlsx": (workbook(Sales=SALES), {}, {"id": ("integer", [1, 2]), "town": ("text", ["Rome", "Oslo"]), "amount": ("number", [2.5, None]), "paid": ("boolean", [True, False]),
        "day": ("date", ["2024-01-01 00:00:00", "2024-01-02 12:00:00"])}, ["Sheet: `Sales`.", "Header: the first line"]),
    "named like a CSV.csv": (workbook(S=[["a"], [1]]), {}, {"a": ("integer", [1])}, ["Sheet: `S`"]),
    "first sheet empty.xlsx": (workbook(Cover=[], Data=[["a"], [1]], Notes=[["x"]]), {}, {"a": ("integer", [1])}, ["Sheet: `Data`; not read: `Cover`, `Notes`."]),
    "sheet by name.xlsx": (workbook(A=[["a"], [1]], B=[["b"], [2]]), {"sheet": "B"}, {"b": ("integer", [2])}, ["`B`; not read: `A`"]),
    "title above.xlsx": (workbook(S=[["Sales 2024", None, None], [], ["a", "b", "c"], [1, 2, 3], [3, 4, 5]]), {}, {"a": ("integer", [1, 3]), "b": ("integer", [2, 4]), "c": ("integer", [3, 5])}, ["1 line above the header"]),
    "empty rows.xlsx": (workbook(S=[["a", "b"], [1, 2], [None, None], [3, 4], [None]]), {}, {"a": ("integer", [1, 3]), "b": ("integer", [2, 4])}, ["1 empty row left out"]),
    "formulas.xlsx": (workbook(S=[["a", "b"], ["=>1+1", "=cmd()"], ["=>A1", "+x"]]), {}, {"a": ("integer", [42, 42]), "b": ("text", ["=cmd()", "+x"])}, []),
    "line breaks and quotes.xlsx": (workbook(S=[["a", "b"], ['say "hi"\nnow, please', 1], ["x", 2]]), {}, {"a": ("text", ['say "hi"\nnow, please', "x"]), "b": ("integer", [1, 2])}, []),
    "semicolons.xlsx": (workbook(S=[["a;b", "c"], ["1;2", "x"], ["3;4", "y"]]), {}, {"a;b": ("text", ["1;2", "3;4"]), "c": ("text", ["x", "y"])}, []),
    "sheet.ods": (zipped(**{"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content_xml": ODS, "META-INF__manifest_xml": MANIFEST}), {}, {"a": ("integer", [7])}, ["Sheet: `S`"]),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_read(name: str, load: Load, context: ToolContext) -> None:
    """A file that holds a table is one, with the values it has and the decisions said; nothing else is left behind."""
    content, options, columns, pieces = READ[name]
    table = load(content, name=name, **options)
    assert {column: kind for column, (kind, _) in columns.items()} == {c["name"]: c["type"] for c in table["columns"]}
    said = "\n".join(table["decisions"])
    assert [] == [piece for piece in pieces if piece not in said], said
    path = context.workdir / f"{table['artifact']}.parquet"
    assert [path] == list(context.workdir.iterdir())
    with open_database(context.workdir) as database:
        rows = database.rows(f"SELECT * FROM {database.parquet(path)}")
    for place, (kind, values) in enumerate(columns.values()):
        if values is not None:
            assert values == [str(row[place]) if kind == "date" and row[place] else row[place] for row in rows]


def bomb_in_gzip() -> bytes:
    line = b"a,b\n" + b"0,0\n" * 1_000_000
    return gzip.compress(line * 20)


def lying_archive() -> bytes:
    """An archive that claims that its file has one byte."""
    content = bytearray(zipped(t_csv=b"a\n" + b"1\n" * 40_000_000))
    for place in range(len(content) - 4):
        if content[place : place + 4] == (80_000_002).to_bytes(4, "little"):
            content[place : place + 4] = (1).to_bytes(4, "little")
    return bytes(content)


FAR_CELLS = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'

# name of the file: (content or what makes it, options, pieces that the message must hold)
REFUSED: dict[str, tuple[bytes | str | Callable[[], bytes], dict[str, Any], list[str]]] = {
    "broken line.jsonl": ('{"a":1}\n{"a":\n{"a":3}\n', {}, ["not right JSON in line"]),
    "half an array.json": ('[{"a":1},{"a":', {}, ["JSON"]),
    "no objects.json": ("[ ]", {}, ["no object"]),
    "empty objects.jsonl": ("{}\n{}\n", {}, ["no object that has a key"]),
    "many keys.json": (lambda: json.dumps([{f"k{n}": n for n in range(10_001)}]).encode(), {}, ["10,001 different keys", "at most 10,000"]),
    "a million columns.csv": (lambda: (",".join(f"c{n}" for n in range(1_000_000)) + "\n" + ",".join(["1"] * 1_000_000) + "\n").encode(), {}, ["1,000,000 columns", "at most 10,000"]),
    "bomb.csv.gz": (bomb_in_gzip, {}, ["more than 500 times", "zip bomb"]),
    "bomb.zip": (lambda: zipped(t_csv=b"a\n" + b"1\n" * 40_000_000), {}, ["more than 500 times"]),
    "lying.zip": (lying_archive, {}, ["cannot be"]),
    "two files.zip": (zipped(a_csv="a\n1\n", b_csv="a\n1\n"), {}, ["2 files (`a.csv`, `b.csv`)", "unpack it"]),
    "no file.zip": (zipped(), {}, ["a zip archive with no file"]),
    "only folders.zip": (zipped(a__=""), {}, ["no file"]),
    "zip in zip.zip": (zipped(t_zip=zipped(t_csv="a\n1\n")), {}, ["an archive within an archive"]),
    "zip in gzip.gz": (gzip.compress(zipped(t_csv="a\n1\n")), {}, ["within an archive"]),
    "empty in zip.zip": (zipped(t_csv=""), {}, ["is empty"]),
    "cut off.zip": (zipped(t_csv="a\n1\n" * 500)[:-40], {}, ["cannot be"]),
    "cut off.xlsx": (workbook(S=SALES)[:-60], {}, ["cannot be"]),
    "no such sheet.xlsx": (workbook(Sales=SALES), {"sheet": "Slaes"}, ["no sheet `Slaes`", "did you mean `Sales`"]),
    "sheet of a CSV.csv": ("a\n1\n", {"sheet": "S"}, ["no workbook", "`sheet`"]),
    "no cells.xlsx": (workbook(A=[], B=[]), {}, ["without a filled cell"]),
    "wide.xlsx": (workbook(S=[[1] * 10_001]), {}, ["10,001 columns"]),
    "not XML.xlsx": (workbook(S="<row><c"), {}, ["cannot be read as a workbook", "save the sheet as CSV"]),
    "far cells.xlsx": (workbook(S=FAR_CELLS), {}, ["`"]),
    "a document.doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), {}, ["cannot be read as a workbook"]),
    "a picture.json": (b"\x89PNG\r\n\x1a\n\x00", {}, ["a PNG picture"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, load: Load, context: ToolContext) -> None:
    """A file that holds no table, or too much, is refused by name with the reason, and nothing is left behind."""
    content, options, pieces = REFUSED[name]
    with pytest.raises(DataError) as caught:
        load(content() if callable(content) else content, name=name, **options)
    message = str(caught.value)
    assert [] == [piece for piece in [name, *pieces] if piece not in message], message
    assert [] == list(context.workdir.iterdir())


def test_devices_and_pipes(tmp_path: Path, context: ToolContext) -> None:
    """What is not a file is never opened: reading it would have no end."""
    os.mkfifo(tmp_path / "pipe.csv")
    for path in ("/dev/zero", "/dev/stdin", str(tmp_path / "pipe.csv")):
        with pytest.raises(DataError, match=r"device or a pipe|link that leads out|cannot be opened|does not exist"):
            load_data(path, context)


def test_bomb_in_a_workbook(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workbook that would unfold to gigabytes is refused by its table of contents, before it is opened."""
    monkeypatch.setattr("planloom.analysis.excel.UNFOLDED_BYTES", 1000)
    with pytest.raises(DataError, match=r"is a workbook that unpacks to .*\nhint: save the sheet as CSV"):
        load(workbook(S=[["x" * 2000]]), name="bomb.xlsx")
