"""Turns one sheet of a workbook (.xlsx, .xlsm, .xlsb, .xls, .ods) into CSV in the run's folder, within limits.

The conversion runs in a limited process (`excel_process`). Rule: what a workbook unfolds to is looked at before it is
opened, and a formula is never computed.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from planloom.analysis.dialect import COLUMNS, listed
from planloom.analysis.limited_process import ask_process
from planloom.errors import DataError, MissingExtraError
from planloom.plan.suggest import did_you_mean

WORKBOOK_BYTES: Final = 100 * 1024**2
"""Largest workbook that is read; Excel itself takes a sheet of a million rows for the most."""
UNFOLDED_BYTES: Final = 2 * 1024**3
"""Most that the parts of a workbook may unpack to."""
MEMORY_BYTES: Final = 2 * 1024**3
"""What the process may hold, on Linux."""
CSV_BYTES: Final = 4 * 1024**3
TIME_LIMIT_S: Final = 300.0

OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0"
_PROGRAM: Final = Path(__file__).with_name("excel_process.py")
_MARKS: Final = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")


@dataclass(frozen=True, slots=True)
class Sheet:
    """What was read of a workbook."""

    name: str
    others: tuple[str, ...]
    empty_rows: int

    @property
    def decisions(self) -> tuple[str, ...]:
        """The sentences about it."""
        said = [f"Sheet: `{self.name}`."]
        if self.others:
            said = [f"Sheet: `{self.name}`; not read: {listed(self.others)}."]
        if self.empty_rows:
            said.append(f"{self.empty_rows:,} empty {'row' if self.empty_rows == 1 else 'rows'} left out.")
        return tuple(said)


def is_workbook(archive: zipfile.ZipFile) -> bool:
    """Whether a zip archive is a workbook rather than an archive of files."""
    names = set(archive.namelist())
    return ("mimetype" in names and "content.xml" in names) or not names.isdisjoint(_MARKS[:2])


def convert_sheet(path: str, found: Path, sheet: str | None, target: Path) -> Sheet:
    """Write a sheet (by name; else the first that holds anything) as CSV to `target`. Raises `DataError`."""
    if find_spec("python_calamine") is None:
        raise MissingExtraError("analysis", "reading workbooks")
    _check_size(path, found)
    request = {
        "path": str(found),
        "sheet": sheet,
        "output": str(target),
        "columns": COLUMNS,
        "memory_bytes": MEMORY_BYTES,
        "file_bytes": CSV_BYTES,
    }
    answer = ask_process(_PROGRAM, request, target.parent, TIME_LIMIT_S)
    problem, sheets = answer["problem"], [str(name) for name in answer.get("sheets", [])]
    if problem is None:
        name = str(answer["sheet"])
        return Sheet(name, tuple(other for other in sheets if other != name), int(answer["empty"]))
    if problem == "sheet":
        hint = did_you_mean(sheet or "", sheets) or f"its sheets are {listed(sheets, 20)}"
        raise DataError(f"`{path}` has no sheet `{sheet}`\nhint: {hint}")
    if problem == "empty":
        raise DataError(f"`{path}` is a workbook without a filled cell in {listed(sheets) or 'any sheet'}")
    if problem == "columns":
        raise DataError(f"`{path}` has a sheet of {int(answer['message']):,} columns; at most {COLUMNS:,} are read")
    if problem == "password":
        raise DataError(f"`{path}` is protected by a password\nhint: save it without one")
    if problem == "damaged":
        raise DataError(
            f"`{path}` cannot be read as a workbook: {answer['message']}\nhint: open it and save the sheet as CSV"
        )
    what = "takes too long to read" if problem == "time" else "unfolds to more memory than a workbook may have"
    raise DataError(f"`{path}` {what}\nhint: save the sheet as CSV or Parquet")


def _check_size(path: str, found: Path) -> None:
    size = found.stat().st_size
    if size > WORKBOOK_BYTES:
        raise DataError(
            f"`{path}` is a workbook of {size // 1024**2:,} MB; at most {WORKBOOK_BYTES // 1024**2} MB are read\n"
            "hint: save the sheet as CSV or Parquet"
        )
    if not zipfile.is_zipfile(found):
        return
    with zipfile.ZipFile(found) as archive:
        unfolded = sum(entry.file_size for entry in archive.infolist())
    if unfolded > UNFOLDED_BYTES:
        raise DataError(
            f"`{path}` is a workbook that unpacks to {unfolded / 1024**3:.1f} GB; at most "
            f"{UNFOLDED_BYTES // 1024**3} GB are read\nhint: save the sheet as CSV or Parquet"
        )
