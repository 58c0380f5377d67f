"""Finds out what a file is before anything tries to read it as a table, and turns text into plain UTF-8.

Rule: a file that cannot be a table is refused here, in one sentence that says what it is and how to mend it.
It must not guess at columns; that is `dialect`. Only a copy is ever written, inside the run's folder.
"""

from __future__ import annotations

import codecs
import difflib
import gzip
import os
import stat
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from planloom.analysis.excel import OLD_OFFICE, convert_sheet, is_workbook
from planloom.analysis.formats import BLANKS
from planloom.analysis.json_lines import START_CHARACTERS, looks_like_json
from planloom.analysis.unpacking import check_unpacked, unpack_single
from planloom.errors import DataError

BLOCK_BYTES = 1024 * 1024
SUGGESTIONS = 3

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_KINDS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x7fELF", "a program"),
    (b"Obj\x01", "an Avro file"),
    (b"ARROW1", "an Arrow file"),
)
_PARQUET = b"PAR1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_PICK_A_FORMAT = "give a CSV, TSV, JSON Lines, Excel or Parquet file"
_ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".json", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".zip")
_FALLBACKS = ("cp1252", "iso8859-1")
_NAMES = {"utf-8": "UTF-8", "cp1252": "Windows-1252", "iso8859-1": "Latin-1"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is ready to be read: Parquet, or text or JSON in UTF-8 without a byte order mark's trouble."""

    path: Path
    """Absolute, links followed; a copy in the run's folder if the bytes had to be changed."""
    kind: str
    """`parquet`, `json` or `text`."""
    quotes: int = 0
    """Number of double quotes in the text."""
    underscores: bool = True
    """Whether the text may hold one below its first line."""
    blanks: str = BLANKS
    """Of the characters that count as blank, those that a cell may hold."""
    decisions: tuple[str, ...] = ()
    copied: bool = False
    separator: str | None = None
    """Set where the text was written here, and its separator is known."""


def find_file(path: str) -> Path:
    """The file that `path` names, absolute. Never a pattern, a folder, a device or an address.

    Raises `DataError` that names the nearest files when there is none.
    """
    named = Path(path)
    try:
        found = named.resolve()
        mode = found.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(_missing(path, named)) from None
    except (OSError, ValueError) as error:
        raise DataError(f"`{path}` cannot be opened: {_reason(error)}") from error
    if stat.S_ISDIR(mode):
        tables = sorted(entry.name for entry in found.iterdir() if _looks_like_table(entry.name))
        hint = f"name one file in it, such as {_listed(tables)}" if tables else _PICK_A_FORMAT
        raise DataError(f"`{path}` is a folder, not a file\nhint: {hint}")
    if not stat.S_ISREG(mode):
        raise DataError(f"`{path}` is a device or a pipe, not a file\nhint: save it as a file first")
    if named.is_symlink() and not found.is_relative_to(named.parent.resolve()):
        raise DataError(
            f"`{path}` is a link that leads out of its folder, to `{found}`\nhint: name that file itself if you mean it"
        )
    return found


def inspect_source(path: str, folder: Path, *, encoding: str | None = None, sheet: str | None = None) -> Source:
    """Look at every byte of `path` once and return it ready to be read.

    `encoding` overrides what the bytes say; `sheet` is one of a workbook. Copies go to `folder`. Raises `DataError`.
    """
    found = find_file(path)
    said = (f"The name is a link; it was followed to `{found.name}`.",) if Path(path).is_symlink() else ()
    try:
        source = _inspect(path, found, folder, encoding, sheet, is_inside=False)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"`{path}` cannot be read: {_reason(error)}") from error
    return replace(source, decisions=(*said, *source.decisions))


def _inspect(
    path: str, found: Path, folder: Path, encoding: str | None, sheet: str | None, *, is_inside: bool
) -> Source:
    """Find out what the bytes of `found` are. `is_inside`: they come out of an archive."""
    with found.open("rb") as file:
        head = file.read(BLOCK_BYTES)
    workbook = head.startswith(OLD_OFFICE)
    if head.startswith(_ZIP):
        with zipfile.ZipFile(found) as archive:
            workbook = is_workbook(archive)
            if not workbook and is_inside:
                raise DataError(f"`{path}` is an archive within an archive\nhint: unpack it and give the file inside")
            if not workbook:
                return _unpacked(path, archive, folder, encoding, sheet)
    if workbook:
        return _from_workbook(path, found, folder, sheet)
    if sheet is not None:
        raise DataError(f"`{path}` is no workbook, so it has no `sheet`\nhint: leave `sheet` out")
    if head.startswith(_PARQUET) and _ends_with(found, _PARQUET):
        return Source(found, "parquet", decisions=("The file is Parquet: names and types are its own.",))
    _refuse_other_kinds(path, head, named_encoding=encoding is not None)
    packed = head.startswith(b"\x1f\x8b")
    source = _as_text(path, found, folder, packed=packed, encoding=encoding)
    said = ("Unpacked with gzip.",) if packed else ()
    return replace(source, decisions=(*said, *source.decisions))


def _unpacked(path: str, archive: zipfile.ZipFile, folder: Path, encoding: str | None, sheet: str | None) -> Source:
    """The one file of a zip archive, copied into the run's folder."""
    inner = _new_file(folder)
    kept: Path | None = None
    try:
        name = unpack_single(path, archive, inner)
        source = _inspect(path, inner, folder, encoding, sheet, is_inside=True)
        kept = source.path
    finally:
        if kept != inner:
            inner.unlink(missing_ok=True)
    shown = " ".join(name.split())[:80]
    return replace(source, copied=True, decisions=(f"Unpacked `{shown}` from a zip archive.", *source.decisions))


def _from_workbook(path: str, found: Path, folder: Path, sheet: str | None) -> Source:
    """One sheet of a workbook as CSV in the run's folder."""
    target = _new_file(folder)
    try:
        read = convert_sheet(path, found, sheet, target)
        source = _as_text(path, target, folder, packed=False, encoding="utf-8")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return replace(source, kind="text", copied=True, separator=",", decisions=read.decisions)


def _as_text(path: str, found: Path, folder: Path, *, packed: bool, encoding: str | None) -> Source:
    """Try the encodings in turn; the first in which every byte has a meaning is the one."""
    with _opened(found, packed=packed) as file:
        head = file.read(BLOCK_BYTES)
    if not head:
        raise DataError(f"`{path}` is empty\nhint: check that the export finished; a table needs at least a header")
    _refuse_other_kinds(path, head, named_encoding=encoding is not None)
    mark, marked = _byte_order_mark(head)
    candidates = _candidates(encoding, marked)
    for name, why in candidates:
        mark_bytes = len(mark) if marked == name else 0
        copied = packed or mark_bytes > 0 or name != "utf-8"
        target = _new_file(folder) if copied else found
        try:
            if copied:
                read = _decode(path, found, target, packed=packed, encoding=name, skip=mark_bytes)
            else:
                read = _check_utf8(path, found)
        except UnicodeDecodeError as error:
            if copied:
                target.unlink(missing_ok=True)
            if name == candidates[-1][0]:
                raise DataError(
                    f"`{path}` is not {encoding_name(name)} text: {error.reason}\n"
                    "hint: give the `encoding` it was saved with, such as cp1252"
                ) from error
            continue
        except BaseException:
            if copied:
                target.unlink(missing_ok=True)
            raise
        if mark_bytes:
            why = f"{why}; the mark was removed"
        with target.open(encoding="utf-8", newline="") as file:
            kind = "json" if looks_like_json(file.read(START_CHARACTERS)) else "text"
        quotes, underscores, blanks = read
        return Source(target, kind, quotes, underscores, blanks, decisions=(f"Encoding: {why}.",), copied=copied)
    raise AssertionError("the last candidate either decodes or raises")


def _candidates(asked: str | None, marked: str) -> list[tuple[str, str]]:
    """Encodings to try, each with the words that say why."""
    if asked is not None:
        try:
            name = codecs.lookup(asked).name
            "".encode(name)  # some codecs turn text into text, and refuse this
        except (LookupError, TypeError, ValueError):
            raise DataError(f"`{asked}` is not a text encoding\nhint: try utf-8, utf-16, cp1252 or latin-1") from None
        if name in ("utf-16", "utf-32", "utf-8-sig"):
            name = marked or {"utf-8-sig": "utf-8"}.get(name, f"{name}-le")
        return [(name, f"{encoding_name(name)}, as asked")]
    if marked:
        return [(marked, f"{encoding_name(marked)}, by its byte order mark")]
    guesses = [(name, f"{encoding_name(name)}, assumed because the file is not valid UTF-8") for name in _FALLBACKS]
    return [("utf-8", "UTF-8"), *guesses]


def _check_utf8(path: str, found: Path) -> tuple[int, bool, str]:
    """Count the double quotes of a UTF-8 text, and find out whether it has underscores below its first line and which
    blanks its cells may hold; refuse NUL characters.

    Bytes are looked through as they are: making text of ASCII would take most of the time.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    quotes = seen = 0
    underscores = tabs = others = False
    with found.open("rb") as file:
        while True:
            block = file.read(BLOCK_BYTES)
            if b"\x00" in block:
                raise DataError(_nul_message(path, _line_of(found, seen + block.index(b"\x00"))))
            if not block or decoder.getstate()[0] or not block.isascii():
                others = others or not block.isascii()
                decoder.decode(block, final=not block)
            if b'"' in block:
                quotes += block.count(b'"')
            start = block.find(b"\n") + 1 if seen == 0 else 0
            underscores = underscores or block.find(b"_", start) >= 0
            tabs = tabs or b"\t" in block
            seen += len(block)
            if not block:
                # without quotes, a line break ends a row and is in no cell
                blanks = " " + "\t" * tabs + "\u00a0" * others + "\r\n" * (quotes > 0)
                return quotes, underscores, blanks


def _line_of(found: Path, place: int) -> int:
    """The line that the byte at `place` stands in."""
    lines = 1
    with found.open("rb") as file:
        while place > 0 and (block := file.read(min(place, BLOCK_BYTES))):
            lines += block.count(b"\n")
            place -= len(block)
    return lines


def _decode(path: str, found: Path, copy_to: Path, *, packed: bool, encoding: str, skip: int) -> tuple[int, bool, str]:
    """Write the whole file to `copy_to` as UTF-8; count and refuse as `_check_utf8` does."""
    decoder = codecs.getincrementaldecoder(encoding)()
    size = found.stat().st_size
    quotes = lines = seen = 0
    underscores = False
    with _opened(found, packed=packed) as file, copy_to.open("w", encoding="utf-8", newline="") as copy:
        file.read(skip)
        while True:
            block = file.read(BLOCK_BYTES)
            seen += len(block)
            if packed:
                check_unpacked(path, seen, size)
            text = decoder.decode(block, final=not block)
            if "\x00" in text:
                raise DataError(_nul_message(path, lines + text[: text.index("\x00")].count("\n") + 1))
            start = text.find("\n") + 1 if lines == 0 else 0
            underscores = underscores or text.find("_", start) >= 0
            lines += text.count("\n")
            quotes += text.count('"')
            copy.write(text)
            if not block:
                return quotes, underscores, BLANKS


def _ends_with(found: Path, magic: bytes) -> bool:
    with found.open("rb") as file:
        file.seek(-len(magic), os.SEEK_END)
        return file.read() == magic


def _new_file(folder: Path) -> Path:
    handle, name = tempfile.mkstemp(prefix="source-", suffix=".txt", dir=folder)
    os.close(handle)
    return Path(name)


def _byte_order_mark(head: bytes) -> tuple[bytes, str]:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return mark, encoding
    return b"", ""


def _refuse_other_kinds(path: str, head: bytes, *, named_encoding: bool) -> None:
    """Raise `DataError` if the bytes are plainly something else than a table."""
    if head.startswith((*_ZIP, OLD_OFFICE)):  # within gzip, as any other was taken apart before
        raise DataError(
            f"`{path}` is an archive or workbook within an archive\nhint: unpack it and give the file inside"
        )
    for magic, what in _KINDS:
        if head.startswith(magic):
            raise DataError(f"`{path}` is {what}, not a table\nhint: {_PICK_A_FORMAT}")
    start = head[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise DataError(f"`{path}` is a web page, not a table\nhint: download the file behind the page's link")
    if start.startswith(b"<?xml"):
        raise DataError(f"`{path}` is XML, not a table\nhint: {_PICK_A_FORMAT}")
    if named_encoding or head.startswith(b"\x1f\x8b") or _byte_order_mark(head)[1] not in ("", "utf-8"):
        return
    if b"\x00" in head and head.startswith(_PARQUET):
        raise DataError(f"`{path}` begins like Parquet but its end is missing\nhint: download or export it again")
    if b"\x00" in head:
        zeros = head[:4096]
        if max(zeros[0::2].count(0), zeros[1::2].count(0)) > 0.4 * len(zeros) / 2:
            raise DataError(
                f'`{path}` looks like UTF-16 without a byte order mark\nhint: say encoding="utf-16-le" (or utf-16-be)'
            )
        control = sum(byte < 32 and byte not in (9, 10, 12, 13) for byte in zeros)
        if control > len(zeros) / 20:
            raise DataError(f"`{path}` is binary data, not text\nhint: {_PICK_A_FORMAT}")
        raise DataError(_nul_message(path, head[: head.index(0)].count(b"\n") + 1))


def _opened(found: Path, *, packed: bool) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(found, "rb")) if packed else found.open("rb")


def _nul_message(path: str, line: int) -> str:
    return (
        f"`{path}` has a NUL byte in line {line}, which text cannot have\n"
        "hint: the file is binary or damaged; export it again as CSV"
    )


def encoding_name(encoding: str) -> str:
    """The name people know an encoding by."""
    name = codecs.lookup(encoding).name
    return _NAMES.get(name, name.upper())


def _missing(path: str, named: Path) -> str:
    if "://" in path:
        return f"`{path}` is an address, not a file\nhint: download it first; the analysis reads no network"
    folder = named.parent
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    except OSError:
        return f"`{path}` does not exist: there is no folder `{folder}`"
    near = difflib.get_close_matches(named.name, names, n=SUGGESTIONS, cutoff=0.6)
    near = near or [name for name in names if _looks_like_table(name)][:SUGGESTIONS]
    where = "this folder" if str(folder) == "." else f"`{folder}`"
    hint = f"hint: {where} has {_listed(near)}" if near else f"hint: {where} has no table; {_PICK_A_FORMAT}"
    return f"`{path}` does not exist\n{hint}"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:SUGGESTIONS])


def _looks_like_table(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith(_ENDINGS)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
